"""
Bind the configured address, and another one when the configuration changes.

Owns the sockets. Never answers by itself.
Invariant: the old address is given up only when the new one is bound; at the end nothing listens.
Kind: edge (aiohttp.web).
"""

from __future__ import annotations

import logging
import socket
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from syncer.errors import ConfigError
from syncer.telemetry import Event, logger

Address = tuple[str, int]

GOODBYE_S: Final = 1.0
"""For answers under way at the end; they come from memory."""

IDLE_S: Final = 30.0
"""A connection that asks nothing for so long is closed."""


class _OursAlone(logging.Filter):
    """Drops what a peer did wrong: it got its 400, and our log is about us."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is kept."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_OURS_ALONE: Final = _OursAlone()


class Listener:
    """Where the application is reached; use it as ``async with``."""

    def __init__(self, application: web.Application) -> None:
        logging.getLogger("aiohttp.server").addFilter(_OURS_ALONE)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=GOODBYE_S,
        )
        self._site: web.TCPSite | None = None
        self._wanted: Address | None = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What is really listened on; a port 0 was replaced by one that was free."""
        return tuple((each[0], each[1]) for each in self._runner.addresses)

    def require_free(self, address: Address | None) -> None:
        """Refuse what ``listen_on`` could not bind, before anything else is changed.

        Raises:
            ConfigError: it cannot be bound now.
        """
        if address in {None, self._wanted}:
            return
        host, port = address
        try:
            for family, kind, protocol, _, place in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                with socket.socket(family, kind, protocol) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family is socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind(place)
                    probe.listen()
        except (OSError, UnicodeError) as error:
            raise _refused(address, error) from error

    async def listen_on(self, address: Address | None) -> None:
        """Listen there from now on; ``None``: nowhere. The same again changes nothing.

        Raises:
            ConfigError: it cannot be bound; what was listened on before still is.
        """
        if address == self._wanted:
            return
        before = self._site
        self._site = None if address is None else await self._bind(address)
        self._wanted = address
        if before is not None:
            await before.stop()
        if address is None:
            logger().info(Event.LISTENER_CLOSED)
        else:
            shown = [_shown(each) for each in self.addresses]
            logger(addresses=shown).info(Event.LISTENER_OPENED)

    async def _bind(self, address: Address) -> web.TCPSite:
        site = web.TCPSite(self._runner, *address)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:
            await site.stop()
            raise _refused(address, error) from error
        return site


def _refused(address: Address, error: OSError | UnicodeError) -> ConfigError:
    reason = (getattr(error, "strerror", None) or "that is no name of a host").lower()
    return ConfigError(
        f"http.listen {_shown(address)} cannot be listened on: {reason}",
        hint="Stop what uses it, give http.listen another port, or turn it off with an "
        "empty value.",
    )


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
