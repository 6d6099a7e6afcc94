"""
Pass what happens in cycles on to the counters and to those who watch for standstill.

Owns the translation of a cycle's end into "did it move". Never decides anything else.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from syncer.domain import Clock, CycleKind
from syncer.errors import SourceError, Verdict
from syncer.outcome import CycleOutcome
from syncer.store.merging import CommitResult
from syncer.web.health import Vitals
from syncer.web.metrics import Metrics
from syncer.web.minutes import Minutes


@dataclass(frozen=True, slots=True)
class Observing:
    """A ``CycleObserver`` for a daemon."""

    metrics: Metrics
    vitals: Vitals
    requests: Minutes
    clock: Clock
    on_change: Callable[[], None]
    """Told that the status may be another one."""

    def cycle_started(self, catalog: str, kind: CycleKind) -> None:
        """A cycle begins, or goes on."""
        self.vitals.start(catalog, str(kind), self.clock.monotonic())

    def request_started(self, catalog: str) -> None:
        """A request goes out."""
        self.vitals.ask(catalog)
        self.requests.count(self.clock.now())

    def request_finished(self, catalog: str, *, outcome: str, duration_s: float) -> None:
        """That request has ended."""
        self.vitals.hear(catalog)
        self.metrics.count_request(catalog, outcome, duration_s)

    def page_committed(
        self, catalog: str, result: CommitResult, *, duration_s: float, of_sweep: bool
    ) -> None:
        """A page is durable."""
        self.vitals.move(catalog, self.clock.monotonic(), of_sweep=of_sweep)
        self.metrics.count_page(catalog, result, duration_s)

    def models_removed(self, catalog: str, models: int) -> None:
        """So many tombstones were set."""
        self.metrics.count_removed(catalog, models)

    def database_awaited(self, catalog: str) -> None:
        """The database is asked again after a while."""
        self.vitals.await_database(catalog)

    def cycle_finished(self, outcome: CycleOutcome) -> None:
        """A cycle ended."""
        error = outcome.error
        unanswered = isinstance(error, SourceError) and error.verdict in {
            Verdict.RETRY,
            Verdict.BACK_OFF,
        }
        kind = str(outcome.kind)
        now = self.clock.monotonic()
        self.vitals.finish(outcome.catalog, kind, now, unanswered=unanswered)
        self.metrics.count_cycle(outcome.catalog, kind, outcome.word)
        self.on_change()
