"""How late the event loop is: measured while a cycle runs, and free of charge otherwise."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support.virtual_clock import JumpClock

from syncer.lag import SAMPLE_S, LoopLag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class LateClock(JumpClock):
    """Its sleeps return later than asked by these seconds, then never."""

    def __init__(self, late_s: Sequence[float]) -> None:
        super().__init__()
        self._late_s = list(late_s)
        self.done = asyncio.Event()

    async def sleep(self, delay_s: float) -> None:
        if not self._late_s:
            self.done.set()
            await asyncio.Event().wait()
        await super().sleep(delay_s)
        self.elapsed_s += self._late_s.pop(0)


@asynccontextmanager
async def watching(lag: LoopLag) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(lag.watch())
        yield
        task.cancel()


async def test_the_worst_delay_of_a_span_is_kept() -> None:
    clock = LateClock([0.0, 0.03, 0.002])
    lag = LoopLag(clock)
    async with watching(lag):
        with lag.span() as span:
            await clock.done.wait()

    assert span.worst_ms == pytest.approx(30)
    assert lag.worst_ms == pytest.approx(30)
    assert clock.slept == [SAMPLE_S] * 3


async def test_a_span_knows_nothing_of_what_was_before_it() -> None:
    clock = LateClock([0.5])
    lag = LoopLag(clock)
    async with watching(lag):
        with lag.span():
            await clock.done.wait()
        with lag.span() as later:
            await asyncio.sleep(0)

    assert later.worst_ms == 0
    assert lag.worst_ms == pytest.approx(500)


async def test_nobody_wakes_up_while_nobody_asks() -> None:
    """P5: idle is free."""
    clock = LateClock([0.5])
    async with watching(LoopLag(clock)):
        for _ in range(20):
            await asyncio.sleep(0)

    assert clock.slept == []
