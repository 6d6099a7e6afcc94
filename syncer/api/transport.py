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
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from syncer.api.room import Share

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

    async def get(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        share: Share,
        limit_bytes: int | None = None,
        on_headers: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send one request and read its answer.

        ``path`` is below the base URL and percent-encoded. Redirects are not followed.
        ``on_headers`` is called when the answer has begun: the source has surely counted the
        request by then.

        Args:
            share: counts what is read, and says when to wait; such a wait is not the source's, and
                does not count against the time limit.
            limit_bytes: stop earlier than ``max_page_bytes``.

        Raises:
            SourceUnavailable: no complete answer, for whatever reason of the network.
            PageTooLarge: a success whose decompressed body is over the limit.
        Cancel-safe: yes; the connection of a cancelled request is closed.
        """
        if self._session is None:
            raise RuntimeError("the client is used outside 'async with'")
        request = f"GET {path}"
        try:
            async with (
                asyncio.timeout(self._request_timeout_s) as time_limit,
                self._session.get(
                    URL(f"{self._base_url}{path}", encoded=True),
                    params=params,
                    allow_redirects=False,
                    middlewares=(self._authorizer(request, on_headers),),
                ) as response,
            ):
                limit = self._limit_of(response, limit_bytes)
                chunks, is_whole = await _read_body(response, limit.bytes, share, time_limit)
                if limit.is_refusal and not is_whole:
                    raise PageTooLarge(
                        f"{request} answered {response.status} with more than {limit.bytes} bytes, "
                        f"{limit.reason}",
                        status=response.status,
                    )
        except (aiohttp.ClientError, OSError) as error:
            raise self._translated(error, request) from error
        return Answer(response.status, response.headers, b"".join(chunks)[: limit.bytes])

    def _authorizer(
        self, request: str, on_headers: Callable[[], None]
    ) -> aiohttp.ClientMiddlewareType:
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
                response = await handler(outgoing)
            except (aiohttp.ClientError, OSError) as error:
                raise self._translated(error, request) from error
            on_headers()
            return response

        return authorize

    def _limit_of(self, response: aiohttp.ClientResponse, limit_bytes: int | None) -> _Limit:
        if not _is_success(response.status):
            return _Limit(ERROR_BODY_BYTES, is_refusal=False)
        if limit_bytes is None or limit_bytes >= self._max_page_bytes:
            return _Limit(self._max_page_bytes, reason="the limit set by limits.max_page_bytes")
        return _Limit(limit_bytes, reason="too much at once for more than one model")

    def _translated(self, error: Exception, request: str) -> Exception:
        host = self._base_url.host or "the source"
        return error_for_transport(
            error,
            request=request,
            peer=host if self._base_url.is_default_port() else f"{host}:{self._base_url.port}",
            timeout_s=self._request_timeout_s,
        )


@dataclass(frozen=True, slots=True)
class _Limit:
    """How much of one answer is read."""

    bytes: int
    reason: str = ""
    is_refusal: bool = True
    """What is longer is no answer; else its beginning is enough."""


async def _read_body(
    response: aiohttp.ClientResponse, limit_bytes: int, share: Share, time_limit: asyncio.Timeout
) -> tuple[list[bytes], bool]:
    """The body in pieces, and whether that is all of it: reading stops after ``limit_bytes``."""
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        chunks.append(chunk)
        size_bytes += len(chunk)
        share.take(len(chunk))
        if size_bytes > limit_bytes:
            response.close()
            return chunks, False
        if not share.may_go_on:
            await _wait_for_room(share, time_limit)
    return chunks, True


async def _wait_for_room(share: Share, time_limit: asyncio.Timeout) -> None:
    """Wait until this reader may go on; a wait of ours is not charged to the source."""
    loop, deadline = asyncio.get_running_loop(), time_limit.when()
    began = loop.time()
    time_limit.reschedule(None)
    await share.until_may_go_on()
    if deadline is not None:
        time_limit.reschedule(deadline + loop.time() - began)


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP status class


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
