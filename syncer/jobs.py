"""
What a command asks for, and the cycles that it comes to on one catalog.

Owns the order of backfill, sweep and delta. Never takes a lease, never decides an exit code.
Invariant: after a cycle that is not complete no other begins, but for a sweep: that is beside them.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from syncer.details import DetailResult
from syncer.domain import Millis
from syncer.engine import BEYOND_FEED, Engine
from syncer.errors import (
    ConfigError,
    ExitCode,
    LeaseHeld,
    SchemaMismatch,
    SourceRefused,
    SourceUnavailable,
    SweepRefused,
    SyncerError,
)
from syncer.outcome import CycleOutcome, exit_code_of
from syncer.store.orders import Order, OrderKind

ASKED = "it was asked for"

_KINDS: Mapping[ExitCode, type[SyncerError]] = {
    kind.exit_code: kind
    for kind in (
        ConfigError,
        SchemaMismatch,
        LeaseHeld,
        SweepRefused,
        SourceRefused,
        SourceUnavailable,
    )
}
"""What stands here for an error of another process."""


@dataclass(frozen=True, slots=True)
class SweepJob:
    """A sweep that was asked for, due or not."""

    allow_removals: int | None = None
    """One-time ceiling, which stands in for the guard."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a one-shot command was asked to do."""

    follow: bool
    """Catch up after the backfill (sync), or leave it at that (backfill)."""
    restart: bool = False
    deadline_s: float | None = None
    sweep: SweepJob | None = None
    """Compare the whole catalog after that, whether or not it is due."""
    doubt: Mapping[str, tuple[Millis, Millis]] = field(default_factory=dict)
    """Models to write anew with that sweep: ``updatedAt`` at the source and as stored, by id."""


def order_of(job: Job) -> tuple[OrderKind, dict[str, Any]] | None:
    """How a job is left to the process that holds the lease; ``None``: it may not be."""
    if job.restart:
        return OrderKind.RESTART, {}
    if job.sweep is None:
        return None
    kind = OrderKind.REPAIR if job.doubt else OrderKind.SWEEP
    return kind, {"allow_removals": job.sweep.allow_removals, "doubt": dict(job.doubt)}


def job_of(order: Order) -> Job:
    """The job behind an order, for the process that carries it out."""
    if order.kind is OrderKind.RESTART:
        return Job(follow=False, restart=True)
    said = order.arguments
    sweep = SweepJob(allow_removals=said.get("allow_removals"))
    return Job(follow=False, sweep=sweep, doubt=said.get("doubt", {}))


@dataclass(slots=True)
class CatalogResult:
    """What became of one catalog."""

    catalog: str
    cycles: list[CycleOutcome] = field(default_factory=list)
    error: SyncerError | None = None
    details: DetailResult | None = None
    """Of a catalog whose details are wanted; ``None``: not asked for, or the cycles failed."""
    carried_out: Mapping[str, Any] | None = None
    """What another process made of it, as its ``outcome`` says."""

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """What this catalog contributes to the exit code."""
        if self.carried_out is not None:
            return frozenset({ExitCode(self.carried_out["exit_code"])})
        codes = {code for cycle in self.cycles for code in cycle.exit_codes}
        if self.error is not None:
            codes.add(self.error.exit_code)
        if self.details is not None:
            codes |= self.details.exit_codes
        return frozenset(codes)

    @property
    def errors(self) -> tuple[SyncerError, ...]:
        """Everything that went wrong, once each, in order."""
        if self.carried_out is not None:
            said = self.carried_out.get("document", {}).get("errors", ())
            return tuple(
                _KINDS.get(ExitCode(each["exit_code"]), SyncerError)(
                    each["message"], hint=each["hint"]
                )
                for each in said
            )
        found = [self.error, *(cycle.error for cycle in self.cycles)]
        for cycle in self.cycles:
            found.extend(cycle.failures.values())
        if self.details is not None:
            found.append(self.details.tally.error)
        return tuple(dict.fromkeys(error for error in found if error is not None))

    @property
    def outcome(self) -> dict[str, Any]:
        """What a process that waits for it is told."""
        return {"exit_code": int(exit_code_of(self.exit_codes)), "document": self.document}

    @property
    def document(self) -> dict[str, Any]:
        """What ``--json`` prints of the catalog."""
        if self.carried_out is not None:
            return {"name": self.catalog, **self.carried_out.get("document", {})}
        return {
            "name": self.catalog,
            "cycles": [_cycle_document(cycle) for cycle in self.cycles],
            "details": None if self.details is None else self.details.document,
            "errors": [
                {
                    "message": each.message,
                    "hint": each.hint,
                    "exit_code": int(each.exit_code),
                }
                for each in self.errors
            ],
        }


async def carry_out(engine: Engine, job: Job) -> AsyncIterator[CycleOutcome]:
    """The cycles of a job on one catalog, each once it has ended; none after an incomplete one.

    Raises:
        CatalogPinned: the catalog was first filled from elsewhere.
        StoreError: its state cannot be read.
    """
    state = await engine.prepare(restart=job.restart)
    if state.backfilled_at is None:
        outcome = await engine.backfill(state)
        yield outcome
        if not outcome.complete:
            return
        state = await engine.prepare()
    if job.doubt:
        await engine.context.comparing.doubt(engine.context.lease, job.doubt)
    if job.sweep is not None:
        outcome = await engine.sweep(state, reason=ASKED, allowed=job.sweep.allow_removals)
        yield outcome
        if outcome.complete and outcome.resumed:
            # What an earlier run had read may be out of date. One ceiling holds for both.
            allowed = job.sweep.allow_removals
            left = None if allowed is None else allowed - outcome.tally.removed
            state = await engine.prepare()
            yield await engine.sweep(state, reason=ASKED, allowed=left)
    if not job.follow:
        return
    if engine.is_beyond_feed(state):
        yield await engine.sweep(state, reason=BEYOND_FEED)
        state = await engine.prepare()
    yield await engine.follow(state)
    state = await engine.prepare()
    if (reason := await engine.why_sweep(state)) is not None:
        yield await engine.sweep(state, reason=reason)


def _cycle_document(cycle: CycleOutcome) -> dict[str, Any]:
    tally = asdict(cycle.tally)
    counts = {name: count for name, count in tally.items() if name not in {"finished", "resumed"}}
    return {"kind": str(cycle.kind), "complete": cycle.complete} | counts
