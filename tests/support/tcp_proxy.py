"""
A TCP connection that can be cut, delayed and restored, between a command and what it depends on.

Owns one port on the loopback, which it keeps while it is cut: nobody else answers there meanwhile.
Begins cut. Never looks into what it passes on.
Kind: edge (sockets).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_BYTES = 65_536
POSTGRES_PORT = 5432

Address = tuple[str, int] | str
"""Host and port, or the path of a socket."""


class TcpProxy:
    """Passes connections on to one address, as long as it is not cut."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._broken = asyncio.Event()
        self._broken.set()
        self._socket = _bound_socket(0)
        self.port: int = self._socket.getsockname()[1]
        self.delay_s = 0.0
        """Waited before each piece is passed on, in both directions."""
        self.accepted = 0
        """Connections so far."""

    async def restore(self) -> None:
        """Let connections through again."""
        if self._broken.is_set():
            self._broken.clear()
            self._socket.listen()
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        if self._broken.is_set():
            return
        self._broken.set()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)
        self._socket = _bound_socket(self.port)

    async def close(self) -> None:
        """Give the port back."""
        await self.cut()
        self._socket.close()

    def _accept(self) -> None:
        # Not by asyncio's server: when that closes while it accepts, it leaves the transport open.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            accepted, _ = self._socket.accept()
            self.accepted += 1
            # A group would wrap what its body raises; `cut` waits for them all.
            task = asyncio.create_task(self._serve(accepted))  # noqa: TID251
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        self._writers.add(writer)
        try:
            upstream_reader, upstream_writer = await self._connect()
            self._writers.add(upstream_writer)
            if self._broken.is_set():
                # Cut while it connected: nobody else breaks this one.
                upstream_writer.transport.abort()
                writer.transport.abort()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, upstream_writer))
                    group.create_task(self._pump(upstream_reader, writer))
            finally:
                self._drop(upstream_writer)
        except ConnectionError:
            # The target is away: the client sees its connection end, as it should.
            writer.transport.abort()
        finally:
            self._drop(writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(CHUNK_BYTES):
                await self._delay()
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            # One end broke; the other end must see that, too.
            writer.transport.abort()

    async def _delay(self) -> None:
        if self.delay_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.delay_s):
                    await self._broken.wait()

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()


@contextlib.asynccontextmanager
async def proxy_to(target: Address) -> AsyncIterator[TcpProxy]:
    """A proxy that is still cut."""
    proxy = TcpProxy(target)
    try:
        yield proxy
    finally:
        await proxy.close()


def address_of(url: str) -> Address:
    """Where the server of an http or postgresql URL listens."""
    parts = urlsplit(url)
    directory = parse_qs(parts.query).get("host", [""])[0]
    if directory.startswith("/"):
        port = parse_qs(parts.query).get("port", [str(POSTGRES_PORT)])[0]
        return f"{directory}/.s.PGSQL.{port}"
    return parts.hostname or "127.0.0.1", parts.port or POSTGRES_PORT


def through(proxy: TcpProxy, url: str, *, password: str = "") -> str:
    """The same URL by way of the proxy."""
    parts = urlsplit(url)
    user = parts.username or ""
    secret = f":{password}" if password else f":{parts.password}" if parts.password else ""
    user_info = f"{user}{secret}@" if user else ""
    return f"{parts.scheme}://{user_info}127.0.0.1:{proxy.port}{unquote(parts.path)}"


def _bound_socket(port: int) -> socket.socket:
    """Bound, but not listening: connections are refused, and the port is nobody else's."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
