"""
How an answer reaches the wire: headers, compression, and the ways it may fail to arrive.

Owns the socket side of a fault. Never decides what an answer says.
Kind: edge (aiohttp server).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syncer.simulator.answers import Answer

GZIP_LEVEL = 1
GZIP_WINDOW = 16 + zlib.MAX_WBITS
GZIP_FROM_BYTES = 1024
GZIP_INLINE_BYTES = 65_536
"""Longer bodies are compressed in a thread, so that one page does not hold up the others."""

DRIPS = 20

NO_DATE = ""
"""Stands for a ``Date`` header that is left out; aiohttp would set one of its own."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How answers leave this server."""

    sleep: Callable[[float], Awaitable[None]]
    closing: asyncio.Event
    """Set when the server shuts down: what hangs lets go."""
    drip_interval_s: float
    gzip: bool

    async def send(
        self, request: web.Request, answer: Answer, *, date: str, fault: str | None = None
    ) -> web.StreamResponse:
        """Send the answer, or fail to in the named way."""
        if fault == "reset-before-headers":
            return self._reset(request)
        body, headers = await self._encoded(request, answer)
        headers["Date"] = date
        if fault is None:
            return web.Response(status=answer.status, body=body, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if fault == "dripping-body":
            await self._drip(response, body)
            return response
        await response.write(body[: len(body) // 2])
        if fault == "hanging-body":
            await self.closing.wait()
        if fault == "reset-after-headers":
            return self._reset(request)
        if request.transport is not None:
            request.transport.close()
        return response

    async def _encoded(self, request: web.Request, answer: Answer) -> tuple[bytes, dict[str, str]]:
        headers = {"Content-Type": answer.content_type} | answer.headers
        accepted = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        if not (self.gzip and accepted and len(answer.body) >= GZIP_FROM_BYTES):
            return answer.body, headers
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        if len(answer.body) <= GZIP_INLINE_BYTES:
            return compress(answer.body), headers
        return await asyncio.to_thread(compress, answer.body), headers

    async def _drip(self, response: web.StreamResponse, body: bytes) -> None:
        size = max(1, -(-len(body) // DRIPS))
        for start in range(0, len(body), size):
            await self.sleep(self.drip_interval_s)
            await response.write(body[start : start + size])
        await response.write_eof()

    def _reset(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            if connection is not None:
                # Lingering for zero seconds makes closing send RST instead of FIN.
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.transport.abort()
        return web.Response()


def compress(body: bytes) -> bytes:
    """The body as one gzip member."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()


async def drop_empty_date(_: web.Request, response: web.StreamResponse) -> None:
    """The signal handler that makes ``NO_DATE`` no header at all."""
    if response.headers.get("Date") == NO_DATE:
        del response.headers["Date"]
