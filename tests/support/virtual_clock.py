"""
Clocks for tests: time passes only when a test lets it.

``VirtualClock`` keeps many sleepers in order; ``JumpClock`` makes each sleep pass at once, for
tests with one worker and a real socket. Neither touches the event loop's own clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SETTLE_TURNS = 60
"""Turns of the event loop after which every task that can go on has done so."""


class JumpClock:
    """Each sleep passes at once and is written down."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.elapsed_s += delay_s
        await asyncio.sleep(0)


class VirtualClock:
    """Sleepers wake in the order of their times, when the test advances the clock."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed_s + delay_s, next(self._numbers), woken))
        await woken

    async def settle(self) -> None:
        """Let every task go on until it waits for time or for another task."""
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

    async def advance(self, delay_s: float) -> None:
        """Let ``delay_s`` seconds pass."""
        target = self.elapsed_s + delay_s
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            await self._wake_next()
        self.elapsed_s = target

    async def run(self, work: Coroutine[object, object, None]) -> None:
        """Let as much time pass as the work needs."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work, name="work")
            await self.settle()
            while not task.done():
                if not self._sleepers:
                    raise AssertionError("everybody waits and nobody sleeps")
                await self._wake_next()

    async def _wake_next(self) -> None:
        at, _, woken = heapq.heappop(self._sleepers)
        self.elapsed_s = max(self.elapsed_s, at)
        if not woken.done():
            woken.set_result(None)
        await self.settle()
