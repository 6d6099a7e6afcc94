"""
A proxy before a database that breaks the connection at a COMMIT.

Owns which COMMIT is struck, and on which side of it. Never looks at anything else that passes.
Kind: edge (sockets).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from support.tcp_proxy import CHUNK_BYTES, TcpProxy, address_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class CommitCutter(TcpProxy):
    """Breaks the connection at a COMMIT: before the server sees it, or before we see its answer."""

    def __init__(self, url: str, where: str) -> None:
        super().__init__(address_of(url))
        self._where = where
        self._is_muted = False
        self._aiming = asyncio.Lock()
        self.armed = 0
        """How many more commits to break."""
        self.struck = 0
        self.aim: Callable[[], Awaitable[bool]] | None = None
        """Asked before each COMMIT is passed on; only those that it is true of are struck."""

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(CHUNK_BYTES):
                if self._is_muted:
                    # The server has answered, so the commit is durable; nobody will hear of it.
                    self._is_muted = False
                    self._abort_all()
                    return
                if self.armed and b"COMMIT;" in piece and await self._is_aimed_at():
                    self.armed -= 1
                    self.struck += 1
                    if self._where == "before":
                        self._abort_all()
                        return
                    self._is_muted = True
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.transport.abort()

    async def _is_aimed_at(self) -> bool:
        # One at a time: whoever aims may look at the database by one connection.
        async with self._aiming:
            return self.aim is None or await self.aim()

    def _abort_all(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()
