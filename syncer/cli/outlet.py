"""
Standard output for long answers: written as they come, to whoever reads at the pace it likes.

Owns the descriptor. Never keeps more than it was given, and never blocks the event loop: a signal
ends the command also while nobody takes what is written.
Kind: edge (file descriptors).
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
from typing import Final

PIPE_BYTES: Final = 4096
"""A pipe that is ready takes this much at once; of more, a part might have to wait."""

BUSY_S: Final = 0.01


class OutletClosed(Exception):
    """nobody reads standard output any more"""


class Outlet:
    """Standard output."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OutletClosed
        self._descriptor = sys.stdout.fileno()
        mode = os.fstat(self._descriptor).st_mode
        self._is_file = stat.S_ISREG(mode)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    async def write(self, data: bytes) -> None:
        """Write all of it, waiting where the reader is slow. Cancelled, it may be cut anywhere.

        Raises:
            OutletClosed: whoever read it is gone.
            OSError: it cannot be written, to a full disk for one.
        """
        rest = memoryview(data)
        while rest:
            await self._until_ready()
            try:
                written = os.write(self._descriptor, rest if self._is_file else rest[:PIPE_BYTES])
            except BlockingIOError:
                # Somebody who shares the pipe does not want to wait for it.
                await asyncio.sleep(BUSY_S)
                continue
            except BrokenPipeError:
                raise OutletClosed from None
            rest = rest[written:]

    def check(self) -> None:
        """Raise ``OutletClosed`` if whoever read it is gone, without writing anything."""
        if any(events & (select.POLLERR | select.POLLHUP) for _, events in self._poll.poll(0)):
            raise OutletClosed

    async def _until_ready(self) -> None:
        if self._is_file or self._poll.poll(0):
            return
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._descriptor)
