"""
What the engine tells of its work, and the sums that every way of showing it needs.

Owns the ``Progress`` protocol and the tallies. Never draws, never logs; what it is told is a hint,
the database is the truth.
Invariant: a tally is of one cycle of one catalog; requests are counted over all catalogs.
Kind: edge (monotonic clock, as an argument).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.domain import Clock


class Progress(Protocol):
    """What the engine tells of its work. Calls are synchronous and cheap; none of them raises."""

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """By catalog, of its last cycle in this process."""
        ...

    def cycle_started(
        self,
        *,
        catalog: str,
        kind: str,
        reason: str,
        estimated_models: int | None,
        estimated_requests: int | None,
    ) -> None:
        """A cycle begins; ``None`` where nothing can be estimated."""
        ...

    def page_committed(
        self,
        *,
        catalog: str,
        partition: str,
        models: int,
        inserted: int,
        updated: int,
        unchanged: int,
        quarantined: int,
        bytes: int,  # noqa: A002 - the unit is the name
    ) -> None:
        """A page and its checkpoint are durable."""
        ...

    def request_finished(self, *, outcome: str, duration_s: float) -> None:
        """The source answered, or did not; requests are counted over all catalogs."""
        ...

    def waiting(self, *, reason: str, delay_s: float) -> None:
        """Nothing will happen for ``delay_s`` because of ``reason``."""
        ...

    def partition_changed(self, *, catalog: str, done: int, known: int) -> None:
        """``done`` of the ``known`` partitions are complete; ``known`` may grow."""
        ...

    def cycle_finished(self, *, catalog: str, kind: str, outcome: str) -> None:
        """A cycle ended."""
        ...


class NoProgress:
    """Shows nothing."""

    tallies: Mapping[str, Tally] = MappingProxyType({})

    def cycle_started(self, **_facts: object) -> None:
        """Show nothing."""

    def page_committed(self, **_facts: object) -> None:
        """Show nothing."""

    def request_finished(self, **_facts: object) -> None:
        """Show nothing."""

    def waiting(self, **_facts: object) -> None:
        """Show nothing."""

    def partition_changed(self, **_facts: object) -> None:
        """Show nothing."""

    def cycle_finished(self, **_facts: object) -> None:
        """Show nothing."""


UNANNOUNCED = "cycle"
"""The kind of what was not announced: a poll whose one page is all there is."""


@dataclass(slots=True)
class Tally:
    """What one cycle of one catalog has done so far."""

    kind: str
    started_s: float
    reported_s: float
    estimated_models: int | None = None
    estimated_requests: int | None = None
    models: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    pages: int = 0
    size_bytes: int = 0
    partitions_done: int = 0
    partitions_known: int = 0

    def rate(self, now_s: float) -> float | None:
        """Models per second since the cycle began; ``None`` before there is one to speak of."""
        elapsed_s = now_s - self.started_s
        return self.models / elapsed_s if elapsed_s > 0 and self.models else None

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds to the estimated end at the present rate; ``None`` when that is unknown."""
        rate = self.rate(now_s)
        if rate is None or self.estimated_models is None:
            return None
        return max(self.estimated_models - self.models, 0) / rate

    def useful_total(self) -> int | None:
        """The estimate while it can still be right; ``None`` makes a bar indeterminate."""
        total = self.estimated_models
        return total if total and total >= self.models else None


@dataclass(slots=True)
class Board:
    """The tallies of all catalogs, and the requests, which belong to none of them alone."""

    clock: Clock
    requests: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)

    def begin(
        self,
        catalog: str,
        *,
        kind: str,
        estimated_models: int | None,
        estimated_requests: int | None,
    ) -> Tally:
        """Put a new tally in the place of the catalog's last one."""
        now_s = self.clock.monotonic()
        tally = Tally(kind, now_s, now_s, estimated_models, estimated_requests)
        self.tallies[catalog] = tally
        return tally

    def of(self, catalog: str) -> Tally:
        """The catalog's tally; a catalog that was never announced begins now."""
        return self.tallies.get(catalog) or self.begin(
            catalog,
            kind=UNANNOUNCED,
            estimated_models=None,
            estimated_requests=None,
        )


class Counting:
    """The part that bar and log lines share: keep the tallies, then say that something moved."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._board = Board(clock)

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """By catalog, of its last cycle in this process."""
        return self._board.tallies

    def cycle_started(
        self,
        *,
        catalog: str,
        kind: str,
        reason: str,  # noqa: ARG002 - shown by the event walk_chosen
        estimated_models: int | None,
        estimated_requests: int | None,
    ) -> None:
        """Start the catalog's tally anew."""
        self._board.begin(
            catalog,
            kind=kind,
            estimated_models=estimated_models,
            estimated_requests=estimated_requests,
        )
        self._began(catalog)

    def page_committed(
        self,
        *,
        catalog: str,
        partition: str,  # noqa: ARG002 - shown by the event page_committed
        models: int,
        inserted: int,
        updated: int,
        unchanged: int,
        quarantined: int,
        bytes: int,  # noqa: A002 - the unit is the name
    ) -> None:
        """Add a page."""
        tally = self._board.of(catalog)
        tally.pages += 1
        tally.models += models
        tally.inserted += inserted
        tally.updated += updated
        tally.unchanged += unchanged
        tally.quarantined += quarantined
        tally.size_bytes += bytes
        self._moved(catalog)

    def request_finished(self, *, outcome: str, duration_s: float) -> None:  # noqa: ARG002 - metrics show them
        """Count a request."""
        self._board.requests += 1

    def waiting(self, *, reason: str, delay_s: float) -> None:
        """Show nothing; log lines have retry_scheduled and source_throttled for it."""

    def partition_changed(self, *, catalog: str, done: int, known: int) -> None:
        """Set the partition counts."""
        tally = self._board.of(catalog)
        tally.partitions_done, tally.partitions_known = done, known
        self._moved(catalog)

    def _began(self, catalog: str) -> None:
        """Called after a cycle began."""

    def _moved(self, catalog: str) -> None:
        """Called after a tally changed."""
