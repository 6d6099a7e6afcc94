"""
Share the partitions of one cycle among workers.

Owns who works on what, who is idle, and when a partition is cut so that an idle worker can help.
Never fetches or stores anything itself.
Invariant: a partition is with at most one worker; the proof walk begins when all others have ended,
so that what it finds is what they missed; one broken partition does not end the others.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from syncer.crawl import StopSignal, Stride
from syncer.domain import (
    Checkpoint,
    Millis,
    Partition,
    PartitionPhase,
    SortKey,
    format_millis,
    key_time,
)
from syncer.errors import SourceError, StoreUnavailable, SyncerError, Verdict
from syncer.planner.cut import Density, cut, expected_pages, useful_parts

PARTS_PER_PAGE = 2
"""Of a walk by creation: eight workers are busy after three pages, not six."""


class PoolObserver(Protocol):
    """Told when the number of partitions or of finished ones changes."""

    def __call__(self, *, done: int, known: int) -> None:
        """``done`` of ``known`` partitions are complete."""
        ...


@dataclass(slots=True)
class _Progress:
    """What an active partition has shown since its worker took it. In memory only."""

    is_proof: bool
    density: Density | None = None
    remaining_pages: float = 0.0


class WorkPool:
    """The partitions of one cycle: waiting, at work, ended."""

    def __init__(
        self,
        checkpoints: Iterable[Checkpoint],
        *,
        horizon_ms: Millis,
        page_size: int,
        stop: StopSignal,
        observer: PoolObserver,
        queue_s: Callable[[], float],
    ) -> None:
        self._waiting = [each for each in checkpoints if _is_open(each)]
        self._horizon_ms = horizon_ms
        self._page_size = page_size
        self.stop = stop
        """Ends this cycle; set from outside, or by an error after which nothing else can work."""
        self._observer = observer
        self._queue_s = queue_s
        self._changed = asyncio.Condition()
        self._active: dict[str, _Progress] = {}
        self._idle = 0
        self._known = len(self._waiting)
        self._done = 0
        self._pages = 0
        self.failures: dict[str, SyncerError] = {}
        """Why partitions stopped, by name."""

    async def run(
        self, crawl: Callable[[Checkpoint], Awaitable[None]], *, workers: int
    ) -> dict[str, SyncerError]:
        """Work until nothing is left or the stop signal is set; returns ``failures``."""
        self._tell()
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(crawl), name=f"worker {number}")
        return self.failures

    def cut(self, stride: Stride) -> Stride:
        """Give away a share of what remains, when this is the longest walk and somebody is idle.

        A ``CutRule`` for ``crawl_partition``.
        """
        name = stride.after.partition.name
        progress = self._active[name]
        progress.density = _grown(progress.density, stride)
        if progress.density is None or stride.after.phase is PartitionPhase.COMPLETE:
            return stride
        progress.remaining_pages = expected_pages(
            stride.after.partition.walk,
            progress.density,
            horizon_ms=self._horizon_ms,
            page_size=self._page_size,
        )
        if self._idle == 0 or self._ready() is not None or not self._is_longest(name):
            return stride
        if self._queue_s() > 0:
            # The budget is what holds the walk up: more hands would only spend some of it on cuts.
            return stride
        if stride.after.partition.walk.after_ms == stride.before.partition.walk.after_ms:
            # In the middle of a token chain; its offsets belong to the bounds it began with.
            return stride
        # Creation is spread evenly enough to trust a page for two parts; changes come in bursts.
        trust = PARTS_PER_PAGE if stride.after.partition.walk.key is SortKey.CREATED else 1
        parts = useful_parts(
            pages=progress.remaining_pages,
            idle_workers=self._idle,
            walked=trust * stride.after.pages,
        )
        walks = cut(stride.after.partition.walk, horizon_ms=self._horizon_ms, parts=parts)
        if len(walks) == 1:
            return stride
        progress.remaining_pages /= len(walks)
        shortened = replace(stride.after, partition=replace(stride.after.partition, walk=walks[0]))
        cut_off = tuple(
            Checkpoint(
                stride.after.cycle_id,
                _part(stride.after.partition, replace(stride.after.partition, walk=walk)),
                PartitionPhase.PENDING,
            )
            for walk in walks[1:]
        )
        return replace(stride, after=shortened, cut_off=cut_off)

    async def add(self, checkpoints: tuple[Checkpoint, ...]) -> None:
        """Parts that were cut off, once they are stored."""
        self._pages += 1
        if not checkpoints:
            return
        async with self._changed:
            self._waiting.extend(checkpoints)
            self._known += len(checkpoints)
            self._changed.notify_all()
        self._tell()

    async def _work(self, crawl: Callable[[Checkpoint], Awaitable[None]]) -> None:
        while (checkpoint := await self._take()) is not None:
            name = checkpoint.partition.name
            pages_before = self._pages
            try:
                await crawl(checkpoint)
            except SyncerError as error:
                self.failures[name] = error
                if _ends_cycle(error, made_progress=self._pages > pages_before):
                    self.stop.set(error)
            else:
                self._done += 1
            await self._leave(name)

    async def _take(self) -> Checkpoint | None:
        async with self._changed:
            while True:
                if self.stop.is_set:
                    return None
                ready = self._ready()
                if ready is not None:
                    checkpoint = self._waiting.pop(ready)
                    partition = checkpoint.partition
                    self._active[partition.name] = _Progress(partition.is_proof)
                    return checkpoint
                if not self._active and not self._waiting:
                    return None
                self._idle += 1
                try:
                    await self._changed.wait()
                finally:
                    self._idle -= 1

    def _ready(self) -> int | None:
        """Which of the waiting partitions may begin now; a proof walk only when it is its turn."""
        for index, checkpoint in enumerate(self._waiting):
            if not checkpoint.partition.is_proof:
                return index
        if self._waiting and all(progress.is_proof for progress in self._active.values()):
            return 0
        return None

    async def _leave(self, name: str) -> None:
        async with self._changed:
            self._active.pop(name)
            self._changed.notify_all()
        self._tell()

    def _is_longest(self, name: str) -> bool:
        mine = self._active[name].remaining_pages
        return all(other.remaining_pages <= mine for other in self._active.values())

    def _tell(self) -> None:
        self._observer(done=self._done, known=self._known)


def _is_open(checkpoint: Checkpoint) -> bool:
    return checkpoint.phase in {PartitionPhase.PENDING, PartitionPhase.WALKING}


def _grown(density: Density | None, stride: Stride) -> Density | None:
    key = stride.after.partition.walk.key
    times = [at for entry in stride.page.entries if (at := key_time(entry, key)) is not None]
    if not times:
        return density
    if density is None:
        return Density(times[0], times[-1], len(times))
    return Density(density.first_ms, times[-1], density.models + len(times))


def _part(whole: Partition, part: Partition) -> Partition:
    """A name that tells what it was cut from and where it begins."""
    stem = whole.name.split("@", 1)[0]
    after_ms = part.walk.after_ms
    return replace(part, name=f"{stem}@{format_millis(after_ms)}") if after_ms is not None else part


def _ends_cycle(error: SyncerError, *, made_progress: bool) -> bool:
    """Whether there is no point in trying the other partitions."""
    if error.verdict in {Verdict.FATAL, Verdict.STOP, Verdict.CATALOG}:
        return True
    if isinstance(error, StoreUnavailable):
        return True
    # Nobody got a page for the whole retry deadline: it is the source, not the partition.
    retried = error.verdict in {Verdict.RETRY, Verdict.BACK_OFF}
    return isinstance(error, SourceError) and retried and not made_progress
