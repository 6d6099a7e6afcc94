"""
What the work on one catalog needs: its settings, its source, its store, its voice.

Owns the wiring of one catalog, so that cycles take one argument. Never acts by itself.
Invariant: requests of one lease are numbered in the order in which they are sent.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from syncer.api.room import PAGE_GOAL_BYTES
from syncer.clock import SystemClock
from syncer.config import CatalogSettings
from syncer.crawl import Fetcher, Hand, PageSource, StopSignal, uncounted
from syncer.domain import (
    Clock,
    Cycle,
    CycleKind,
    Lane,
    Millis,
    Partition,
    Privacy,
    Proven,
    SentOrder,
    to_millis,
)
from syncer.lag import LoopLag
from syncer.outcome import CycleOutcome
from syncer.planner.frontier import MAX_ROW_AHEAD_MS, prove
from syncer.planner.identity import OwnerCheck
from syncer.progress import Progress
from syncer.store.catalogs import CatalogStore
from syncer.store.comparing import ComparingStore
from syncer.store.lease import Lease
from syncer.store.merging import CommitResult
from syncer.store.pages import PageStore
from syncer.store.progress import WatermarkRule
from syncer.store.sweeps import SweepStore
from syncer.voice import Voice

_SENT_ORDER_BITS = 40

_LANES = {
    CycleKind.BACKFILL: Lane.BACKFILL,
    CycleKind.DELTA: Lane.POLL,
    CycleKind.SWEEP: Lane.SWEEP,
}


class CycleObserver(Protocol):
    """What outlives a cycle: counters, and whether anything moves.

    Calls are synchronous and cheap; none of them raises.
    """

    def cycle_started(self, catalog: str, kind: CycleKind) -> None:
        """A cycle begins, or goes on."""
        ...

    def request_started(self, catalog: str) -> None:
        """A request goes out."""
        ...

    def request_finished(self, catalog: str, *, outcome: str, duration_s: float) -> None:
        """That request has ended, whatever became of it."""
        ...

    def page_committed(
        self, catalog: str, result: CommitResult, *, duration_s: float, of_sweep: bool
    ) -> None:
        """A page is durable; ``duration_s`` is of its transaction."""
        ...

    def models_removed(self, catalog: str, models: int) -> None:
        """So many tombstones were set."""
        ...

    def database_awaited(self, catalog: str) -> None:
        """The database did not take something, and is asked again after a while."""
        ...

    def cycle_finished(self, outcome: CycleOutcome) -> None:
        """A cycle ended, whichever way."""
        ...


class NoObserver:
    """Counts nothing."""

    def cycle_started(self, catalog: str, kind: CycleKind) -> None:
        """Count nothing."""

    def request_started(self, catalog: str) -> None:
        """Count nothing."""

    def request_finished(self, catalog: str, *, outcome: str, duration_s: float) -> None:
        """Count nothing."""

    def page_committed(
        self, catalog: str, result: CommitResult, *, duration_s: float, of_sweep: bool
    ) -> None:
        """Count nothing."""

    def models_removed(self, catalog: str, models: int) -> None:
        """Count nothing."""

    def database_awaited(self, catalog: str) -> None:
        """Count nothing."""

    def cycle_finished(self, outcome: CycleOutcome) -> None:
        """Count nothing."""


def no_queue() -> float:
    """For a source that anybody may ask at any time."""
    return 0.0


@dataclass(slots=True)
class OnePage:
    """Remembers what an answer holds of a listing whose models are too heavy for a whole page.

    Or each poll would take the listing for one page, find out by a request for each halving that
    it is not, and sweep.
    """

    models: int | None = None
    """None: as many as are asked for, for all that is known."""


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """One catalog, under one lease."""

    settings: CatalogSettings
    source: PageSource
    pin: str
    """What the catalog is filled from: the base URL, and the project of a private catalog."""
    pages: PageStore
    catalogs: CatalogStore
    sweeps: SweepStore
    comparing: ComparingStore
    lease: Lease
    clock: Clock
    rng: random.Random
    progress: Progress
    stop: StopSignal
    page_size: int
    max_concurrency: int
    retry_deadline_s: float
    owner: OwnerCheck = field(default_factory=OwnerCheck)
    """Refuses pages of somebody else's private catalog."""
    one_page: OnePage = field(default_factory=OnePage, repr=False)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while removals are confirmed and while a poll is under way: they take turns."""
    observer: CycleObserver = field(default_factory=NoObserver)
    queue_s: Callable[[], float] = no_queue
    """Seconds until the request budget would let one more request go."""
    hand: Callable[[], AbstractContextManager[Hand]] = uncounted
    """Counts pages in memory until they are stored."""
    lag: LoopLag = field(default_factory=lambda: LoopLag(SystemClock()), repr=False)
    """How late the event loop is while cycles run."""
    page_goal_bytes: int = PAGE_GOAL_BYTES
    """A larger page of several models is asked for again in halves."""
    _sent: Iterator[int] = field(
        default_factory=lambda: iter(range(1, 1 << _SENT_ORDER_BITS)), repr=False
    )
    _cycles: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    @property
    def name(self) -> str:
        """The catalog's name."""
        return self.settings.name

    @property
    def has_delta(self) -> bool:
        """Whether the listing can be asked for what changed; a private one cannot."""
        return self.settings.privacy is Privacy.PUBLIC

    @property
    def overlap_ms(self) -> int:
        """How far before the watermark a walk starts again."""
        return round(self.settings.overlap_s * 1000)

    @property
    def voice(self) -> Voice:
        """Says what happens to this catalog."""
        return Voice(self.name, self.lease.epoch, self.progress)

    def fetcher(self, kind: CycleKind, *, lane: Lane | None = None) -> Fetcher:
        """Asks this catalog's questions, in the lane of their cycle unless told otherwise."""
        return Fetcher(
            source=self.source,
            scope=self.settings.scope,
            lane=_LANES[kind] if lane is None else lane,
            page_size=self.page_size,
            next_sent_order=self._next_sent_order,
            on_page_halved=self.voice.page_halved,
            check=self.owner.check,
            hand=self.hand,
            page_goal_bytes=self.page_goal_bytes,
        )

    def next_cycle_name(self) -> str:
        """What the log calls one more cycle; no other of any process has or had that name."""
        return f"{self.name}-{self.lease.epoch}-{next(self._cycles)}"

    def watermark_rule(self) -> WatermarkRule:
        """How far a complete cycle of this catalog raises its watermark."""
        overlap_ms, clock = self.overlap_ms, self.clock

        def rule(stored: Millis | None, newest: Millis | None, cycle: Cycle) -> Proven:
            return prove(
                stored,
                newest,
                cycle,
                overlap_ms=overlap_ms,
                latest_ms=max(to_millis(clock.now()), cycle.source_now_ms) + MAX_ROW_AHEAD_MS,
                has_delta=self.has_delta,
            )

        return rule

    def scope_names(self, partition: Partition) -> bool:
        """Whether the partition's filter is part of the scope, not just a way to go faster."""
        scope = self.settings.scope
        return partition.type in scope.types or partition.tag in scope.tags

    def _next_sent_order(self) -> SentOrder:
        return SentOrder((self.lease.epoch << _SENT_ORDER_BITS) | next(self._sent))
