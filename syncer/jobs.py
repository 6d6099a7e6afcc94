"""
What a command asks for, and the cycles that it comes to on one catalog.

Owns the order of backfill, sweep and delta. Never takes a lease, never decides an exit code.
Invariant: after a cycle that is not complete no other begins, but for a sweep: that is beside them.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from syncer.engine import BEYOND_FEED, Engine
from syncer.outcome import CycleOutcome

ASKED = "it was asked for"


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
    if job.sweep is not None:
        outcome = await engine.sweep(state, reason=ASKED, allowed=job.sweep.allow_removals)
        yield outcome
        if outcome.resumed and outcome.error is None:
            # What an earlier run had read may be long out of date.
            state = await engine.prepare()
            yield await engine.sweep(state, reason=ASKED, allowed=job.sweep.allow_removals)
    if not job.follow:
        return
    if engine.is_beyond_feed(state):
        yield await engine.sweep(state, reason=BEYOND_FEED)
        state = await engine.prepare()
    yield await engine.follow(state)
    state = await engine.prepare()
    if (reason := await engine.why_sweep(state)) is not None:
        yield await engine.sweep(state, reason=reason)
