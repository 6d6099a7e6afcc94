"""
A simulated source as the end-to-end tests use one.

Owns the gate that holds its answers back: what a command does while it waits for an answer is then
no matter of time.
Kind: edge (simulated source).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from syncer.simulator import SimulatedSource

Serve = Callable[..., AbstractAsyncContextManager[SimulatedSource]]
"""``async with serve(models=…) as source``: commands ask this source from then on."""


class Gate:
    """Lets so many list requests through, and holds the others until it is opened."""

    def __init__(self, source: SimulatedSource, *, after: int = 0) -> None:
        self._left = after
        self._opened = asyncio.Event()
        self.waiting = 0
        """Requests that stand before the gate."""
        source.on_request = self._pass

    def open(self) -> None:
        """Let everything through from now on."""
        self._opened.set()

    async def _pass(self, _: dict[str, str]) -> None:
        self._left -= 1
        if self._left < 0:
            self.waiting += 1
            await self._opened.wait()
            self.waiting -= 1
