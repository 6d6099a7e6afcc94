"""
One request on the wire and its whole answer; knows HTTP, not models.

Owns the HTTP session and is the only user of aiohttp's client. Never waits for permission, never
repeats, never judges a status.
Invariant: one call is one request, and its answer is read and the connection free at return.
Kind: edge (aiohttp).
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

from syncer.api.retry import error_for_transport
from syncer.errors import ConfigError, PageTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

CHUNK_BYTES = 65_536
ERROR_BODY_BYTES = 65_536
"""Of an unsuccessful answer; enough for any reason, and the rest of an HTML page is no loss."""


class HasAuthorization(Protocol):
    """Credentials, as far as a request needs them."""

    @property
    def kind(self) -> str:
        """``basic``, ``bearer`` or ``public``."""
        ...

    def authorization(self) -> str:
        """The value of the ``Authorization`` header."""
        ...

    def reload(self) -> None:
        """Read the token anew; it may have been replaced."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source answered, whole and decompressed."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    """At most ``max_page_bytes``; of an unsuccessful answer at most its first 64 KiB."""

    @property
    def is_success(self) -> bool:
        """2xx, which is wider than 200 at this source (UPSTREAM §6.2)."""
        return _is_success(self.status)


class Transport:
    """Sends GET requests below one base URL; use it as ``async with``."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: HasAuthorization,
        request_timeout_s: float,
        max_page_bytes: int,
        user_agent: str,
    ) -> None:
        try:
            self._base_url = URL(base_url.rstrip("/"))
        except ValueError as error:
            raise ConfigError("source.base_url is not a usable address") from error
        self._credentials = credentials
        self._request_timeout_s = request_timeout_s
        self._max_page_bytes = max_page_bytes
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # One total budget per request, ours; the library's several would only shadow it.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            # A proxy of the environment is for the outside: what runs on this machine
            # (``syncer simulate``) is asked directly.
            trust_env=not _is_loopback(self._base_url.host),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                hdrs.USER_AGENT: self._user_agent,
                hdrs.ACCEPT: "application/json",
                hdrs.ACCEPT_ENCODING: "gzip",
            },
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, params: Mapping[str, str]) -> Answer:
        """Send one request and read its answer.

        ``path`` is below the base URL and percent-encoded. Redirects are not followed.

        Raises:
            SourceUnavailable: no complete answer, for whatever reason of the network.
            PageTooLarge: a success whose decompressed body is over ``max_page_bytes``.
        Cancel-safe: yes; the connection of a cancelled request is closed.
        """
        if self._session is None:
            raise RuntimeError("the client is used outside 'async with'")
        request = f"GET {path}"
        try:
            async with (
                asyncio.timeout(self._request_timeout_s),
                self._session.get(
                    URL(f"{self._base_url}{path}", encoded=True),
                    params=params,
                    allow_redirects=False,
                    middlewares=(self._authorizer(request),),
                ) as response,
            ):
                body = await self._read_body(request, response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._translated(error, request) from error
        return Answer(response.status, response.headers, body)

    def _authorizer(self, request: str) -> aiohttp.ClientMiddlewareType:
        """Put the credentials on the request as the last thing before it is sent.

        A middleware, for two things that aiohttp (3.13, 3.14) gives no other handle on. With
        ``trust_env`` a ``.netrc`` entry for the host would collide with a plain header. And it
        repeats a GET on its own when a kept-alive connection turns out dead: a request that no
        limiter knows of. An error of ours, raised in here, is not repeated.
        """
        authorization = self._credentials.authorization()

        async def authorize(
            outgoing: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            outgoing.headers[hdrs.AUTHORIZATION] = authorization
            try:
                return await handler(outgoing)
            except (aiohttp.ClientError, OSError) as error:
                raise self._translated(error, request) from error

        return authorize

    async def _read_body(self, request: str, response: aiohttp.ClientResponse) -> bytes:
        is_success = _is_success(response.status)
        limit_bytes = self._max_page_bytes if is_success else ERROR_BODY_BYTES
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > limit_bytes:
                response.close()
                break
        if is_success and len(body) > limit_bytes:
            raise PageTooLarge(
                f"{request} answered {response.status} with more than {limit_bytes} bytes, "
                "the limit set by limits.max_page_bytes",
                status=response.status,
            )
        return bytes(body[:limit_bytes])

    def _translated(self, error: Exception, request: str) -> Exception:
        host = self._base_url.host or "the source"
        return error_for_transport(
            error,
            request=request,
            peer=host if self._base_url.is_default_port() else f"{host}:{self._base_url.port}",
            timeout_s=self._request_timeout_s,
        )


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP status class


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
