"""
What the work on one catalog needs: its settings, its source, its store, its voice.

Owns the wiring of one catalog, so that cycles take one argument. Never acts by itself.
Invariant: requests of one lease are numbered in the order in which they are sent.
Kind: conductor.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from syncer.config import CatalogSettings
from syncer.crawl import Fetcher, PageSource, StopSignal
from syncer.domain import (
    Clock,
    Cycle,
    CycleKind,
    Lane,
    Millis,
    Partition,
    SentOrder,
    to_millis,
)
from syncer.planner.frontier import MAX_ROW_AHEAD_MS, prove
from syncer.progress import Progress
from syncer.store.catalogs import CatalogStore
from syncer.store.lease import Lease
from syncer.store.pages import CommitResult, PageStore
from syncer.store.progress import WatermarkRule
from syncer.voice import Voice

_SENT_ORDER_BITS = 40

_LANES = {
    CycleKind.BACKFILL: Lane.BACKFILL,
    CycleKind.DELTA: Lane.POLL,
    CycleKind.SWEEP: Lane.SWEEP,
}


class CycleObserver(Protocol):
    """Counters that outlive a cycle (metrics)."""

    def page_committed(self, catalog: str, result: CommitResult) -> None:
        """A page is durable."""
        ...

    def cycle_finished(self, catalog: str, kind: CycleKind, outcome: str) -> None:
        """A cycle ended, whichever way."""
        ...


class NoObserver:
    """Counts nothing."""

    def page_committed(self, catalog: str, result: CommitResult) -> None:
        """Count nothing."""

    def cycle_finished(self, catalog: str, kind: CycleKind, outcome: str) -> None:
        """Count nothing."""


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """One catalog, under one lease."""

    settings: CatalogSettings
    source: PageSource
    pin: str
    """What the catalog is filled from: the base URL, and the project of a private catalog."""
    pages: PageStore
    catalogs: CatalogStore
    lease: Lease
    clock: Clock
    rng: random.Random
    progress: Progress
    stop: StopSignal
    page_size: int
    max_concurrency: int
    retry_deadline_s: float
    observer: CycleObserver = field(default_factory=NoObserver)
    _sent: Iterator[int] = field(
        default_factory=lambda: iter(range(1, 1 << _SENT_ORDER_BITS)), repr=False
    )

    @property
    def name(self) -> str:
        """The catalog's name."""
        return self.settings.name

    @property
    def overlap_ms(self) -> int:
        """How far before the watermark a walk starts again."""
        return round(self.settings.overlap_s * 1000)

    @property
    def voice(self) -> Voice:
        """Says what happens to this catalog."""
        return Voice(self.name, self.lease.epoch, self.progress)

    def fetcher(self, kind: CycleKind) -> Fetcher:
        """Asks this catalog's questions in the lane of its cycle."""
        return Fetcher(
            source=self.source,
            scope=self.settings.scope,
            lane=_LANES[kind],
            page_size=self.page_size,
            next_sent_order=self._next_sent_order,
            on_page_halved=self.voice.page_halved,
        )

    def watermark_rule(self) -> WatermarkRule:
        """How far a complete cycle of this catalog raises its watermark."""
        overlap_ms, clock = self.overlap_ms, self.clock

        def rule(
            stored: Millis | None, newest: Millis | None, cycle: Cycle
        ) -> tuple[Millis, Millis | None]:
            latest_ms = max(to_millis(clock.now()), cycle.source_now_ms) + MAX_ROW_AHEAD_MS
            proven = prove(stored, newest, cycle, overlap_ms=overlap_ms, latest_ms=latest_ms)
            return proven.watermark_ms, proven.head_ms

        return rule

    def scope_names(self, partition: Partition) -> bool:
        """Whether the partition's filter is part of the scope, not just a way to go faster."""
        scope = self.settings.scope
        return partition.type in scope.types or partition.tag in scope.tags

    def _next_sent_order(self) -> SentOrder:
        return SentOrder((self.lease.epoch << _SENT_ORDER_BITS) | next(self._sent))
