"""
Several processes that ask one source under one budget, in virtual time.

Owns the processes: each has a limiter of its own and reaches the others through a ``Board`` only.
The source counts arrivals, which lie somewhere between sending and answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.board import Board, Desk
from support.virtual_clock import VirtualClock

from syncer.api.limits import Limiter
from syncer.domain import Lane
from syncer.errors import StoreUnavailable

if TYPE_CHECKING:
    import random


class QuickClock(VirtualClock):
    """Enough turns for what limiters do; minutes of several processes are many wakes."""

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)


def fullest_window(arrivals: list[float]) -> int:
    """Most arrivals in any minute; one that is exactly a minute later is in the next."""
    ordered, most, first = sorted(arrivals), 0, 0
    for place, at in enumerate(ordered):
        while ordered[first] <= at - 60.0:
            first += 1
        most = max(most, place - first + 1)
    return most


@dataclass(slots=True)
class Crowd:
    """A source and whoever asks it."""

    clock: VirtualClock
    rng: random.Random
    limit: int
    board: Board = field(init=False)
    arrivals: list[float] = field(default_factory=list)
    by_process: dict[str, int] = field(default_factory=dict)
    longest_way_s: float = 0.3
    longest_answer_s: float = 0.3

    def __post_init__(self) -> None:
        self.board = Board(self.clock)

    def process(self, name: str, *, reserve: int = 0, patience_s: float = 1e6) -> Process:
        """One more process; not started."""
        desk = Desk(self.board, name, lambda: self.rng.uniform(0.001, 0.02))
        hungry_at: list[float] = []
        limiter = Limiter(
            max_requests_per_minute=self.limit,
            max_concurrency=8,
            clock=self.clock,
            ledger=desk,
            name=name,
            reserve=reserve,
            patience_s=patience_s,
            on_hunger=lambda: hungry_at.append(self.clock.elapsed_s),
        )
        return Process(self, name, desk, limiter, hungry_at)


@dataclass(slots=True)
class Process:
    """One process; ``busy`` or ``idle`` is its work."""

    crowd: Crowd
    name: str
    desk: Desk
    limiter: Limiter
    hungry_at: list[float]
    """When it said that others hold the whole budget."""
    _group: asyncio.TaskGroup | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def busy(self, group: asyncio.TaskGroup, until_s: float, workers: int = 8) -> None:
        """As many requests as may be sent, and then a clean end."""
        await self._work(group, [self._worker(until_s) for _ in range(workers)])

    async def idle(self, group: asyncio.TaskGroup, until_s: float, every_s: float = 60.0) -> None:
        """One request now and then."""
        await self._work(group, [self._poller(until_s, every_s)])

    def kill(self) -> None:
        """What is under way arrives all the same, nothing is given back."""
        for task in self._tasks:
            task.cancel()
        self.desk.cut()

    async def send(self, lane: Lane) -> None:
        """One request."""
        crowd = self.crowd
        async with self.limiter.slot(lane) as passage:
            way_s = crowd.rng.uniform(0.0, crowd.longest_way_s)
            # Written down now: it is on its way, whatever becomes of us.
            crowd.arrivals.append(crowd.clock.elapsed_s + way_s)
            crowd.by_process[self.name] = crowd.by_process.get(self.name, 0) + 1
            await crowd.clock.sleep(way_s + crowd.rng.uniform(0.0, crowd.longest_answer_s))
            passage.answered()

    async def _work(self, group: asyncio.TaskGroup, work: list) -> None:
        keeping = group.create_task(self.limiter.keep_forever(), name="keep")
        working = [group.create_task(each, name="work") for each in work]
        self._tasks = [keeping, *working]
        await asyncio.wait(working)
        keeping.cancel()
        if not self.desk.is_cut:
            await self.limiter.leave()

    async def _worker(self, until_s: float) -> None:
        while self.crowd.clock.elapsed_s < until_s:
            await self.send(Lane.BACKFILL)

    async def _poller(self, until_s: float, every_s: float) -> None:
        while self.crowd.clock.elapsed_s < until_s:
            began_s = self.crowd.clock.elapsed_s
            with contextlib.suppress(StoreUnavailable):
                await self.send(Lane.POLL)
            took_s = self.crowd.clock.elapsed_s - began_s
            await self.crowd.clock.sleep(max(0.0, every_s - took_s))
