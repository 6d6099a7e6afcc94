"""
Say what happens to one catalog: log events for operators, progress for people who wait.

Owns the wording of cycle, partition and page events. Never decides anything.
Kind: conductor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from syncer.domain import Plan
from syncer.errors import SyncerError, Verdict
from syncer.outcome import CycleOutcome, Tally
from syncer.progress import Progress
from syncer.store.merging import CommitResult
from syncer.store.rows import Batch
from syncer.telemetry import Event, logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger


MAX_NAMED = 10
"""Ids in one log line."""

NOTICED_WAIT_S = 5.0
"""Before a retry: somebody who watches begins to wonder."""

DETAILS = "details"
"""What people are shown instead of the kind of a cycle."""

_ALWAYS_SAID = frozenset({"pages", "models", "inserted", "updated", "unchanged"})
_UNSAID = frozenset({"finished", "resumed"})


@dataclass(frozen=True, slots=True)
class Voice:
    """Speaks for one catalog."""

    catalog: str
    epoch: int
    progress: Progress

    def log(self, **context: object) -> FilteringBoundLogger:
        """A logger that names the catalog."""
        return logger(catalog=self.catalog, epoch=self.epoch, **context)

    def cycle_started(self, plan: Plan, *, reason: str) -> None:
        """A cycle begins: which walk, and why."""
        facts: dict[str, object] = {"strategy": plan.strategy, "reason": reason}
        if plan.estimated_requests is not None:
            facts["estimated_requests"] = plan.estimated_requests
        self.log(kind=str(plan.kind)).info(Event.WALK_CHOSEN, **facts)
        self.progress.cycle_started(
            catalog=self.catalog,
            kind=str(plan.kind),
            reason=reason,
            estimated_models=plan.estimated_models,
            estimated_requests=plan.estimated_requests,
        )

    def page_committed(
        self, partition: str, batch: Batch, result: CommitResult, *, models: int, size_bytes: int
    ) -> None:
        """A page is durable; what is odd about it is said at once."""
        self.progress.page_committed(
            catalog=self.catalog,
            partition=partition,
            models=models,
            inserted=result.inserted,
            updated=result.updated + result.restored,
            unchanged=result.unchanged + result.stale,
            quarantined=result.quarantined,
            bytes=size_bytes,
        )
        log = self.log(partition=partition)
        log.debug(
            Event.PAGE_COMMITTED,
            models=models,
            inserted=result.inserted,
            updated=result.updated,
            restored=result.restored,
            unchanged=result.unchanged,
            stale=result.stale,
        )
        if result.quarantined:
            for entry in batch.unusable:
                log.warning(
                    Event.MODEL_QUARANTINED,
                    model=entry.key,
                    reason=entry.reason,
                    hint="see 'syncer quarantine list'",
                )
        if result.missed_ids:
            log.error(
                Event.MODELS_MISSED,
                missed=result.missed,
                models=list(result.missed_ids[:MAX_NAMED]),
                hint="delta walks should have brought them; they are mended, please report this",
            )
        if batch.drift and result.wrote:
            log.warning(Event.DRIFT_NOTICED, fields=list(batch.drift))

    def page_halved(self, page_size: int) -> None:
        """An answer was over the byte cap."""
        self.log().warning(Event.PAGE_SIZE_HALVED, page_size=page_size)

    def partitions_changed(self, *, done: int, known: int) -> None:
        """Partitions ended, or were cut."""
        self.progress.partition_changed(catalog=self.catalog, done=done, known=known)

    def partition_started(self, partition: str) -> None:
        """A worker took a partition."""
        self.log(partition=partition).debug(Event.PARTITION_STARTED)

    def partition_finished(
        self, partition: str, counted: Tally, *, duration_s: float, is_proof: bool
    ) -> None:
        """A partition was walked to its end.

        Args:
            is_proof: it shows what partitions by filter have left out; that is said by number.
        """
        facts: dict[str, object] = {"duration_s": round(duration_s, 3), **_counts(counted)}
        if is_proof:
            facts["missed_by_filters"] = counted.inserted
        self.log(partition=partition).info(Event.PARTITION_FINISHED, **facts)

    def sweep_finished(self, tally: Tally, refused: SyncerError | None) -> None:
        """A sweep compared everything: what an operator has to know; the cycle's line counts."""
        if refused is not None:
            self.log(removals_waiting=tally.removals_waiting).warning(
                Event.SWEEP_REFUSED, exc_info=refused
            )
        if tally.rewound:
            self.log(rewound=tally.rewound).warning(
                Event.MODELS_REWOUND,
                hint="the source twice showed older versions than ours: it was set back",
            )

    def differences_suspected(self, models: int, *, patience_s: float) -> None:
        """A comparison found differences, and looks again before it says so."""
        self.log(models=models, patience_s=round(patience_s)).info(Event.DIFFERENCES_SUSPECTED)

    def feed_refused(self, error: SyncerError) -> None:
        """The feed of deleted models may not be read."""
        self.log().warning(
            Event.FEED_REFUSED,
            reason=error.message,
            hint="removals are found by sweeps alone; the next sweep tries the feed again",
        )

    def partition_failed(self, partition: str, error: SyncerError, *, dropped: bool) -> None:
        """A partition stopped."""
        event = Event.PARTITION_DROPPED if dropped else Event.PARTITION_FAILED
        self.log(partition=partition).warning(event, exc_info=error)

    def retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        """A page is committed again after a while."""
        say = self.log().warning if is_news(attempt, delay_s) else self.log().debug
        say(Event.RETRY_SCHEDULED, exc_info=error, delay_s=round(delay_s, 3), attempt=attempt)
        self.progress.waiting(reason=error.message, delay_s=delay_s)

    def database_trouble(self, error: SyncerError) -> None:
        """Something could not be recorded."""
        self.log().warning(Event.DATABASE_UNAVAILABLE, exc_info=error)

    def date_doubted(self, *, ahead_s: float) -> None:
        """The source's ``Date`` is ahead of our clock."""
        self.log().warning(
            Event.DATE_DOUBTED,
            ahead_s=round(ahead_s),
            hint="check this machine's clock; until they agree more is read again than needed",
        )

    def scope_changed(self) -> None:
        """The stored progress was made under another scope."""
        self.log().warning(
            Event.SCOPE_CHANGED, hint="the catalog is filled again; what it holds stays"
        )

    def details_started(self, models: int) -> None:
        """Many models are to be fetched by themselves: shown as a cycle is."""
        self.progress.cycle_started(
            catalog=self.catalog,
            kind=DETAILS,
            reason="new, changed, or not fetched yet",
            estimated_models=models,
            estimated_requests=models,
        )

    def detail_stored(self, *, changed: bool) -> None:
        """A model that was fetched by itself is durable."""
        self.progress.page_committed(
            catalog=self.catalog,
            partition=DETAILS,
            models=1,
            inserted=0,
            updated=int(changed),
            unchanged=int(not changed),
            quarantined=0,
            bytes=0,
        )

    def detail_failed(self, model_id: str, reason: str) -> None:
        """A model could not be fetched by itself."""
        self.log(model=model_id).warning(
            Event.DETAIL_FAILED,
            reason=reason,
            hint="it is asked for again when it changes, or later; the others go on",
        )

    def details_finished(self, facts: Mapping[str, int], error: SyncerError | None) -> None:
        """The one line of a look at the details; none when there was nothing to do."""
        is_stopped = error is not None and error.verdict is Verdict.STOP
        if not any(facts.values()) and (error is None or is_stopped):
            return
        if error is None or is_stopped:
            self.log(**facts).info(Event.DETAILS_FETCHED)
        else:
            self.log(**facts).warning(Event.DETAILS_FETCHED, exc_info=error)
        word = "complete" if error is None else "incomplete"
        self.progress.cycle_finished(catalog=self.catalog, kind=DETAILS, outcome=word)

    def cycle_finished(
        self, outcome: CycleOutcome, *, duration_s: float, loop_lag_ms: float
    ) -> None:
        """The one rich line of a cycle."""
        word = "complete" if outcome.complete else "incomplete"
        facts: dict[str, object] = {
            "duration_s": round(duration_s, 3),
            **_counts(outcome.tally),
            "loop_lag_ms": round(loop_lag_ms),
        }
        log = self.log(kind=str(outcome.kind))
        if outcome.error is not None and outcome.error.verdict is Verdict.STOP:
            # Somebody asked for it: no failure, and nothing to mend.
            reason = outcome.error.message
            log.info(Event.CYCLE_FINISHED, outcome="stopped", reason=reason, **facts)
        elif outcome.error is not None:
            log.warning(Event.CYCLE_FAILED, exc_info=outcome.error, **facts)
        else:
            log.info(Event.CYCLE_FINISHED, outcome=word, **facts)
        self.progress.cycle_finished(catalog=self.catalog, kind=str(outcome.kind), outcome=word)


def is_news(attempt: int, delay_s: float) -> bool:
    """Whether a retry is worth a line: the first, and each that is waited for noticeably.

    While a database is away every page in hand and every request tries again several times a
    second; the first tells that something is wrong, the others would hide the rest of the log.
    """
    return attempt == 1 or delay_s >= NOTICED_WAIT_S


def _counts(tally: Tally) -> dict[str, int]:
    """What every line has, and of the rest what there is any of."""
    return {
        key: value
        for key, value in asdict(tally).items()
        if key not in _UNSAID and (value or key in _ALWAYS_SAID)
    }
