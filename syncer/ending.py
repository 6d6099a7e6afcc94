"""
Run a cycle to whatever end it comes to, and account for it once.

Owns what becomes of a cycle's errors: an outcome, a line in the log, a reason in ``status``. Never
decides what a cycle does.
Invariant: success means complete, and complete is what was committed, not "no error was raised".
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from syncer.context import CatalogContext
from syncer.domain import CycleKind
from syncer.errors import ExitCode, Postponed, SyncerError, Verdict
from syncer.outcome import CycleOutcome, Tally, worst
from syncer.telemetry import bound

Failures = Mapping[str, SyncerError]
"""Why parts of a cycle stopped, by name."""

CycleBody = Callable[[Tally], Awaitable[Failures]]


async def run_to_its_end(context: CatalogContext, kind: CycleKind, body: CycleBody) -> CycleOutcome:
    """Run a cycle, turn its errors into an outcome, and say both once.

    Whatever is said of it meanwhile, by whomever, carries the name of the cycle.
    """
    with bound(catalog=context.name, kind=str(kind), cycle=context.next_cycle_name()):
        return await _run(context, kind, body)


async def _run(context: CatalogContext, kind: CycleKind, body: CycleBody) -> CycleOutcome:
    tally = Tally()
    started_at, began_s = context.clock.now(), context.clock.monotonic()
    error: SyncerError | None = None
    failures: Failures = {}
    context.observer.cycle_started(context.name, kind)
    with context.lag.span() as lag:
        try:
            context.stop.check()
            failures = await body(tally)
        except SyncerError as caught:
            error = caught
    if error is None and not tally.finished:
        error = worst(failures.values()) or context.stop.reason or _unexplained(kind)
    outcome = CycleOutcome(
        catalog=context.name,
        kind=kind,
        complete=error is None,
        tally=tally,
        error=error,
        resumed=tally.resumed,
        failures=dict(failures),
    )
    if error is not None:
        await _record_failure(context, outcome, error, started_at)
    context.observer.cycle_finished(outcome)
    context.voice.cycle_finished(
        outcome, duration_s=context.clock.monotonic() - began_s, loop_lag_ms=lag.worst_ms
    )
    return outcome


async def _record_failure(
    context: CatalogContext, outcome: CycleOutcome, error: SyncerError, started_at: datetime
) -> None:
    """Keep the reason for ``status``; if the database is what failed, the log has it."""
    if error.exit_code is ExitCode.LEASE_HELD or isinstance(error, Postponed):
        return
    try:
        await context.catalogs.record_error(
            context.lease,
            error,
            kind=outcome.kind,
            outcome=outcome.word,
            started_at=started_at,
            blocked=error.verdict is Verdict.FATAL,
        )
    except SyncerError as unrecorded:
        context.voice.database_trouble(unrecorded)


def _unexplained(kind: CycleKind) -> SyncerError:
    return SyncerError(f"a {kind} cycle ended without being complete and without an error")
