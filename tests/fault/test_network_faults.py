"""The way to the source: a name that does not resolve, connections that break, crawl, trickle."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from support.faulty import PATIENT, broken_promises, change_more_than_a_page, small_mirror
from support.tcp_proxy import CHUNK_BYTES, TcpProxy

from syncer.errors import ExitCode, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from support.mirror import Mirror

BASE_URL = "SYNCER_SOURCE__BASE_URL"
SLOW_S = 0.3
IMPATIENT = {"source__request_timeout_s": SLOW_S / 2, "limits__retry_deadline_s": 1e-6}

P = TypeVar("P", bound=TcpProxy)


class Trickle(TcpProxy):
    """Passes on a few bytes at a time."""

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(50):
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.transport.abort()


class Breaking(TcpProxy):
    """Breaks a connection when so many bytes of its answers have passed."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(target)
        self.after_bytes: list[int] = []
        """For the connections to come, in this order; those after them last."""

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_answer = writer.get_extra_info("sockname")[1] == self.port
        if not is_answer or not self.after_bytes:
            await super()._pump(reader, writer)
            return
        left = self.after_bytes.pop(0)
        while left and (piece := await reader.read(min(left, CHUNK_BYTES))):
            writer.write(piece)
            await writer.drain()
            left -= len(piece)
        writer.transport.abort()


@asynccontextmanager
async def on_the_way(mirror: Mirror, proxy_class: type[P]) -> AsyncIterator[P]:
    """Put a proxy before the source."""
    port = urlsplit(mirror.keys[BASE_URL]).port
    assert port
    proxy = proxy_class(("127.0.0.1", port))
    await proxy.restore()
    mirror.keys[BASE_URL] = f"http://127.0.0.1:{proxy.port}/v1"
    try:
        yield proxy
    finally:
        await proxy.close()


async def fail(mirror: Mirror, saying: str, **keys: object) -> None:
    """One run that the source cannot be reached in."""
    done = await mirror.sync(**keys)
    (error,) = done.catalog.errors

    assert ExitCode.UNAVAILABLE == done.exit_code
    assert SourceUnavailable is type(error)
    assert saying in error.message
    assert [] == await broken_promises(mirror)


async def succeed(mirror: Mirror) -> None:
    """One run after which nothing is missing."""
    done = await mirror.sync(**PATIENT)

    assert ExitCode.OK == done.exit_code
    assert [] == await mirror.differences()


async def test_a_host_that_does_not_resolve_is_waited_for(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, P8: a name service that is away is an outage, named as such, and no configuration."""
    resolve = socket.getaddrinfo

    def resolve_nothing(host: Any, *args: Any, **named: Any) -> Any:
        if host == "localhost":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *args, **named)

    async with small_mirror(migrated_database_url) as mirror:
        mirror.keys[BASE_URL] = mirror.keys[BASE_URL].replace("127.0.0.1", "localhost")
        for _ in ("backfill", "delta"):
            with monkeypatch.context() as patch:
                patch.setattr(socket, "getaddrinfo", resolve_nothing)
                await fail(mirror, "the host localhost:")
            await succeed(mirror)
            change_more_than_a_page(mirror)


async def test_a_source_that_cannot_be_reached_is_waited_for(migrated_database_url: str) -> None:
    """P1, P8: connections are refused, then they are not."""
    async with small_mirror(migrated_database_url) as mirror, on_the_way(mirror, TcpProxy) as proxy:
        for _ in ("backfill", "delta"):
            await proxy.cut()
            await fail(mirror, "cannot be reached")
            await proxy.restore()
            await succeed(mirror)
            change_more_than_a_page(mirror)


async def test_connections_that_break_at_any_byte_cost_no_model(migrated_database_url: str) -> None:
    """P1: before, within and after the headers, at the end of a body and between two answers."""
    async with small_mirror(migrated_database_url) as mirror, on_the_way(mirror, Breaking) as proxy:
        for _ in ("backfill", "delta"):
            proxy.after_bytes = [0, 1, 20, 150, 200, 300, 1000, 2000, 3000, 5000]
            await succeed(mirror)

            assert [] == proxy.after_bytes
            change_more_than_a_page(mirror)


async def test_an_answer_that_trickles_is_read_to_its_end(migrated_database_url: str) -> None:
    """P1: what arrives in pieces of fifty bytes is a page like any other."""
    async with small_mirror(migrated_database_url) as mirror, on_the_way(mirror, Trickle):
        for _ in ("backfill", "delta"):
            await succeed(mirror)
            change_more_than_a_page(mirror)


async def test_an_answer_that_is_too_late_is_none(migrated_database_url: str) -> None:
    """P6: one budget for a whole request; what is slow, but not as slow, is waited for."""
    async with small_mirror(migrated_database_url) as mirror, on_the_way(mirror, TcpProxy) as proxy:
        for _ in ("backfill", "delta"):
            proxy.delay_s = SLOW_S
            await fail(mirror, "did not answer completely in time", **IMPATIENT)
            proxy.delay_s = 0.005
            await succeed(mirror)
            change_more_than_a_page(mirror)
