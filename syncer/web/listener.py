"""
Bind the configured address, and another one when the configuration changes.

Owns the sockets. Never answers by itself.
Invariant: the old address is given up only when the new one is bound; at the end nothing listens.
Kind: edge (aiohttp.web).
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from aiohttp import web

from syncer.errors import ConfigError
from syncer.telemetry import Event, logger

Address = tuple[str, int]

GOODBYE_S: Final = 1.0
"""For answers under way at the end; they come from memory."""

IDLE_S: Final = 30.0
"""A connection that asks nothing for so long is closed."""


class Listener:
    """Where the application is reached; use it as ``async with``."""

    def __init__(self, application: web.Application) -> None:
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
        except OSError as error:
            await site.stop()
            reason = (error.strerror or "unknown reason").lower()
            raise ConfigError(
                f"http.listen {_shown(address)} cannot be listened on: {reason}",
                hint="Stop what uses it, give http.listen another port, or turn it off with an "
                "empty value.",
            ) from error
        return site


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
