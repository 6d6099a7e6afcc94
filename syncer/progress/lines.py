"""
Progress where no terminal is: a log line now and then.

Owns how often. Never says what the events of a cycle, a partition or a page say already.
Kind: edge (log).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncer.progress.tally import UNANNOUNCED, Counting
from syncer.telemetry import Event

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from syncer.domain import Clock

LOG_INTERVAL_S: Final = 10.0


class LogProgress(Counting):
    """A log line per catalog, at most every ``interval_s``; the cycle's own events say the rest."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        clock: Clock,
        *,
        interval_s: float = LOG_INTERVAL_S,
    ) -> None:
        super().__init__(clock)
        self._log = log
        self._interval_s = interval_s

    def cycle_finished(self, *, catalog: str, kind: str, outcome: str) -> None:  # noqa: ARG002 - shown by the event cycle_finished
        """Forget the catalog's tally, unless it is that of a sweep beside which this was a poll."""
        tally = self._board.tallies.get(catalog)
        if tally is not None and tally.kind in {kind, UNANNOUNCED}:
            del self._board.tallies[catalog]

    def _moved(self, catalog: str) -> None:
        tally, now_s = self._board.of(catalog), self._clock.monotonic()
        if now_s - tally.reported_s < self._interval_s:
            return
        tally.reported_s = now_s
        rate, remaining_s = tally.rate(now_s), tally.remaining_s(now_s)
        self._log.info(
            Event.PROGRESS_REPORTED,
            catalog=catalog,
            kind=tally.kind,
            models=tally.models,
            estimated_models=tally.estimated_models,
            inserted=tally.inserted,
            updated=tally.updated,
            unchanged=tally.unchanged,
            quarantined=tally.quarantined,
            pages=tally.pages,
            size_bytes=tally.size_bytes,
            requests=self._board.requests,
            estimated_requests=tally.estimated_requests,
            partitions_done=tally.partitions_done,
            partitions_known=tally.partitions_known,
            models_per_s=None if rate is None else round(rate, 1),
            remaining_s=None if remaining_s is None else round(remaining_s),
        )
