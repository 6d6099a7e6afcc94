"""
Run the cycles of one catalog: backfill, delta, sweep.

Owns which cycle runs and where it starts. Never builds a URL, never decodes, never writes SQL.
Invariant: a cycle that was begun is finished before another of its kind begins.
Kind: conductor.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from syncer.context import CatalogContext
from syncer.crawl import Fetched, fetch_unless_stopped
from syncer.cycle import CycleRun, commit_batch, read_page
from syncer.domain import (
    Checkpoint,
    Cycle,
    CycleKind,
    Lane,
    Millis,
    Partition,
    PartitionPhase,
    Plan,
    SortKey,
)
from syncer.ending import Failures, run_to_its_end
from syncer.errors import CatalogPinned, SourceRefused, SourceRejected, SyncerError
from syncer.feed import REACH_S, DeletedFeed
from syncer.outcome import CycleOutcome, Tally
from syncer.planner.choose import EVERYTHING, MirrorFacts, plan_backfill, plan_backlog, plan_delta
from syncer.planner.frontier import Frontier, delta_after, delta_low
from syncer.planner.identity import is_same_source, owner_of, pin_with_owner
from syncer.planner.sweeping import plan_sweep, plan_sweep_poll
from syncer.planner.walk import Reading, advance
from syncer.reconcile import Reconciliation
from syncer.sourcetime import backlog_ceiling, date_of, source_now
from syncer.store.catalogs import CatalogState
from syncer.store.effects import FinishPoll
from syncer.store.rows import Batch, raw_batch_from_page
from syncer.store.sweeps import ListingComparison

BEYOND_FEED = "the feed of deleted models was not read for longer than it reaches back"
REMOVALS = "removals"
"""The part of a sweep that the guard may refuse."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The cycles of one catalog, under one lease."""

    context: CatalogContext
    feed: DeletedFeed = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feed", DeletedFeed(self.context))

    async def prepare(self, *, restart: bool = False) -> CatalogState:
        """Read the catalog's state, honouring ``--restart``, the pin and a changed scope.

        Raises:
            CatalogPinned: the catalog was first filled from elsewhere.
        """
        context, scope = self.context, self.context.settings.scope
        state = await context.catalogs.register(context.name, scope)
        if state.retired:
            await context.catalogs.restore(context.lease)
        if restart:
            await context.catalogs.reset(context.lease, scope, pin=None)
        elif state.pin is not None and not is_same_source(state.pin, context.pin):
            raise CatalogPinned(
                f"catalog {context.name} was first filled from {state.pin}, "
                f"the configuration now names {context.pin}",
                hint="Give the new source a catalog name of its own, or run "
                f"'syncer backfill --restart --catalog {context.name}'.",
            )
        elif not state.scope_holds:
            context.voice.scope_changed()
            await context.catalogs.reset(context.lease, scope, pin=state.pin)
        else:
            context.owner.owner = owner_of(state.pin)
            return state
        state = await context.catalogs.register(context.name, scope)
        context.owner.owner = owner_of(state.pin)
        return state

    async def backfill(self, state: CatalogState) -> CycleOutcome:
        """Fill the catalog completely; resumes an unfinished backfill, does nothing after one."""
        if state.backfilled_at is not None:
            return CycleOutcome(
                self.context.name, CycleKind.BACKFILL, complete=True, tally=Tally(finished=True)
            )

        async def body(tally: Tally) -> Failures:
            return await self._walk(await self.plan(), state, tally)

        return await run_to_its_end(self.context, CycleKind.BACKFILL, body)

    async def follow(self, state: CatalogState, *, is_sweeping: bool = False) -> CycleOutcome:
        """Catch up with the source by the cheapest question that does.

        A listing that fits one page is swept whole, for the price of a delta; not while another
        sweep is under way (``is_sweeping``).
        """
        fits_one_page = not is_sweeping and await self._fits_one_page()

        async def poll(tally: Tally) -> Failures:
            has_feed = not self.context.has_delta and await self.feed.read(tally)
            try:
                if fits_one_page:
                    return await self._sweep_in_one(state, tally, has_feed=has_feed)
                async with self.context.turn:
                    return await self._delta(state, tally, has_feed=has_feed)
            except SourceRefused:
                # It is not the feed alone that is refused: say nothing about that one yet.
                self.feed.ask_again()
                raise

        kind = CycleKind.SWEEP if fits_one_page else CycleKind.DELTA
        outcome = await run_to_its_end(self.context, kind, poll)
        if outcome.complete and outcome.resumed:
            # That was what an earlier run had begun; now for what changed since.
            state = await self.prepare()
            outcome = await run_to_its_end(self.context, kind, poll)
        return outcome

    async def sweep(
        self, state: CatalogState, *, reason: str, allowed: int | None = None
    ) -> CycleOutcome:
        """Compare the whole listing with the mirror, and remove what is gone.

        Args:
            state: as ``prepare`` read it.
            reason: why now.
            allowed: an operator's one-time ceiling of removals, which stands in for the guard.
        """

        async def body(tally: Tally) -> Failures:
            if not self.context.has_delta:
                # What the feed names is not for the guard to hold back.
                self.feed.ask_again()
                await self.feed.read(tally)
            models = await self.context.catalogs.count_live(self.context.name)
            plan = plan_sweep(reason, models=models, page_size=self.context.page_size)
            return await self._walk(plan, state, tally, allowed=allowed)

        return await run_to_its_end(self.context, CycleKind.SWEEP, body)

    async def why_sweep(self, state: CatalogState) -> str | None:
        """Why a sweep is due now; ``None`` when it is not."""
        since_s, interval_s = state.since_sweep_s, self.context.settings.sweep_interval_s
        if since_s is None or since_s == float("inf"):
            return "what is mirrored was never compared as a whole under this scope"
        if since_s >= interval_s:
            return f"the last sweep ended {since_s:.0f} s ago, sweep_interval_s is {interval_s:g}"
        if self.is_beyond_feed(state):
            return BEYOND_FEED
        if await self._open(CycleKind.SWEEP) is not None:
            return "an earlier sweep is not finished"
        return None

    def is_beyond_feed(self, state: CatalogState) -> bool:
        """Whether deletions may have left the feed unread: then the sweep goes first."""
        feed_s = None if self.context.has_delta else state.since_feed_s
        return feed_s is not None and min(feed_s, state.since_sweep_s or feed_s) > REACH_S

    async def plan(self) -> Plan:
        """The backfill that would run now, were none under way."""
        settings = self.context.settings
        by_type, by_tag = await self.context.catalogs.read_facts(self.context.name)
        return plan_backfill(
            settings.scope,
            settings.partition_by,
            MirrorFacts(sum(by_type.values()), by_type, by_tag),
            page_size=self.context.page_size,
        )

    async def _fits_one_page(self) -> bool:
        """Whether one question shows the whole listing, by what the mirror holds."""
        if await self._open(CycleKind.DELTA) is not None:
            return False
        limit = self.context.one_page.models or self.context.page_size
        return await self.context.catalogs.count_live(self.context.name, limit=limit) < limit

    async def _open(self, kind: CycleKind) -> tuple[Cycle, tuple[Checkpoint, ...]] | None:
        return await self.context.pages.read_open_cycle(self.context.name, kind)

    async def _walk(
        self, plan: Plan, state: CatalogState, tally: Tally, *, allowed: int | None = None
    ) -> Failures:
        """A complete range walk: a new one, or what is left of the one under way."""
        if (resumed := await self._resume(plan, tally, allowed=allowed)) is not None:
            return resumed
        self.context.voice.cycle_started(plan, reason=plan.reason)
        plan, fetched = await self._first_answer(plan)
        await self._pin(fetched, state)
        return await self._run(plan, fetched, state, tally, allowed=allowed)

    async def _delta(self, state: CatalogState, tally: Tally, *, has_feed: bool) -> Failures:
        plan = await self._plan_delta(state)
        if (resumed := await self._resume(plan, tally)) is not None:
            return resumed
        started_at = self.context.clock.now()
        fetched, is_whole = await self._ask_poll(plan, state)
        if is_whole:
            batch = await read_page(self.context, fetched.page)
            effect = self._poll_effect(plan, fetched, batch, state, started_at, has_feed=has_feed)
            await commit_batch(self.context, EVERYTHING, fetched.page, batch, effect, tally)
            return {}
        newest_ms = raw_batch_from_page(self.context.name, fetched.page).newest_ms
        seen = [at for at in (newest_ms, state.head_ms) if at is not None]
        ceiling_ms = backlog_ceiling(date_of(self.context, fetched), max(seen, default=None))
        backlog = plan_backlog(plan, ceiling_ms)
        self.context.voice.cycle_started(backlog, reason=backlog.reason)
        return await self._run(backlog, fetched, state, tally)

    async def _sweep_in_one(self, state: CatalogState, tally: Tally, *, has_feed: bool) -> Failures:
        """One question; more only if it does not show all, or not all that the mirror holds."""
        plan = plan_sweep_poll()
        if (resumed := await self._resume(plan, tally)) is not None:
            return resumed
        started_at = self.context.clock.now()
        async with self.context.turn:
            fetched, is_whole = await self._ask_poll(plan, state)
            batch = await read_page(self.context, fetched.page)
            shown = await self.context.sweeps.compare_listing(batch) if is_whole else None
            if (poll := self._as_poll(plan, shown, state)) is not None:
                effect = self._poll_effect(
                    poll, fetched, batch, state, started_at, has_feed=has_feed
                )
                await commit_batch(self.context, EVERYTHING, fetched.page, batch, effect, tally)
                return {}
        self.context.one_page.models = None if is_whole else fetched.page_size
        if is_whole and not self.context.has_delta and not has_feed:
            # It may tell by now what is gone.
            self.feed.ask_again()
            await self.feed.read(tally)
        reason = "models are gone, or older than stored" if is_whole else "it outgrew one page"
        walk = plan_sweep(reason, models=len(batch.ids), page_size=self.context.page_size)
        self.context.voice.cycle_started(walk, reason=reason)
        return await self._run(walk, fetched, state, tally)

    def _as_poll(
        self, plan: Plan, shown: ListingComparison | None, state: CatalogState
    ) -> Plan | None:
        """What an answer was that leaves nothing to ask: a sweep, or a delta as removals wait."""
        if shown is None:
            return None
        if shown.is_equal:
            return plan
        since_s = float("inf") if state.since_sweep_s is None else state.since_sweep_s
        was_swept = since_s < self.context.settings.sweep_interval_s
        is_known = was_swept and shown.is_waiting(state.removals_waiting)
        return replace(plan, kind=CycleKind.DELTA) if is_known else None

    async def _plan_delta(self, state: CatalogState) -> Plan:
        if self.context.has_delta:
            return plan_delta(self._delta_after(state))
        newest_ms = await self.context.catalogs.read_newest(self.context.name)
        after_ms = delta_after(
            Frontier(newest_ms or Millis(0), state.settled_from_ms),
            overlap_ms=self.context.overlap_ms,
        )
        return plan_delta(after_ms, SortKey.CREATED)

    async def _ask_poll(self, plan: Plan, state: CatalogState) -> tuple[Fetched, bool]:
        """The answer to a poll's one question, and whether it is all there is."""
        fetched = await self._ask(plan, lane=Lane.POLL)
        step = advance(plan.partitions[0].walk, fetched.reading, fetched.page)
        await self._pin(fetched, state)
        return fetched, step.walk.done

    async def _resume(
        self, plan: Plan, tally: Tally, *, allowed: int | None = None
    ) -> Failures | None:
        context = self.context
        if (open_cycle := await self._open(plan.kind)) is None:
            return None
        cycle, checkpoints = open_cycle
        if plan.kind is CycleKind.SWEEP and cycle.age_s > context.settings.sweep_interval_s:
            # What it has seen is older than a sweep may be.
            await context.catalogs.abandon(context.lease, plan.kind)
            return None
        tally.resumed = True
        context.voice.cycle_started(plan, reason=f"resumed: {cycle.reason}")
        return await self._finish(CycleRun(context, cycle, tally), checkpoints, allowed)

    async def _run(
        self,
        plan: Plan,
        fetched: Fetched,
        state: CatalogState,
        tally: Tally,
        *,
        allowed: int | None = None,
    ) -> Failures:
        """Store the cycle, then walk it, beginning with the answer that told its source time."""
        cycle, checkpoints = await self.context.pages.open_cycle(
            self._new_cycle(plan, fetched, state), plan.partitions
        )
        run = CycleRun(self.context, cycle, tally, {plan.partitions[0].name: fetched})
        return await self._finish(run, checkpoints, allowed)

    async def _finish(
        self, run: CycleRun, checkpoints: tuple[Checkpoint, ...], allowed: int | None
    ) -> Failures:
        """Walk what is open; of a sweep also confirm and remove, once all of it was walked."""
        failures = await run.run(checkpoints)
        if run.cycle.kind is not CycleKind.SWEEP or failures or not run.is_walked:
            return failures
        end = Reconciliation(self.context, run.cycle, run.tally, allowed)
        refused = await end.run()
        self.context.voice.sweep_finished(run.tally, refused)
        return {} if refused is None else {REMOVALS: refused}

    def _poll_effect(
        self,
        plan: Plan,
        fetched: Fetched,
        batch: Batch,
        state: CatalogState,
        started_at: datetime,
        *,
        has_feed: bool,
    ) -> FinishPoll:
        return FinishPoll(
            cycle=self._new_cycle(plan, fetched, state),
            newest_ms=batch.newest_ms,
            started_at=started_at,
            watermark_rule=self.context.watermark_rule(),
            read_feed=has_feed,
        )

    async def _pin(self, fetched: Fetched, state: CatalogState) -> None:
        """Remember what the catalog is filled from; an empty listing says nothing about that."""
        context, page = self.context, fetched.page
        if not page.entries and page.next_token is None:
            return
        if state.pin is not None and (context.has_delta or owner_of(state.pin) is not None):
            return
        pin = pin_with_owner(context.pin, page, context.settings.privacy)
        if pin != state.pin:
            await context.catalogs.pin(context.lease, pin, instead_of=state.pin)
            context.owner.owner = owner_of(pin)

    async def _ask(self, plan: Plan, *, lane: Lane | None = None) -> Fetched:
        """The answer to a plan's first question."""
        checkpoint = Checkpoint(0, plan.partitions[0], PartitionPhase.PENDING)
        fetcher = self.context.fetcher(plan.kind, lane=lane)
        return await fetch_unless_stopped(fetcher, checkpoint, Reading(), self.context.stop)

    async def _first_answer(self, plan: Plan) -> tuple[Plan, Fetched]:
        """Ask until a question is accepted: its answer tells the cycle's source time.

        Partitions whose filter the source does not accept are left out; the proof walk covers
        their models.
        """
        while True:
            try:
                return plan, await self._ask(plan)
            except SourceRejected as error:
                first: Partition = plan.partitions[0]
                if len(plan.partitions) == 1 or self.context.scope_names(first):
                    raise SourceRejected(
                        f"partition {first.name}: {error.message}", hint=error.hint
                    ) from error
                self.context.voice.partition_failed(first.name, error, dropped=True)
                plan = replace(plan, partitions=plan.partitions[1:])

    def _delta_after(self, state: CatalogState) -> Millis:
        frontier = self._frontier(state)
        if state.pin is None:
            # Nothing was ever listed: there is nothing to have a watermark of, and another source
            # may be configured now.
            return Millis(0)
        return delta_after(frontier, overlap_ms=self.context.overlap_ms)

    def _frontier(self, state: CatalogState) -> Frontier:
        if state.watermark_ms is None:
            raise SyncerError(
                f"catalog {self.context.name} has no watermark although it is backfilled"
            )
        return Frontier(state.watermark_ms, state.settled_from_ms)

    def _new_cycle(self, plan: Plan, fetched: Fetched, state: CatalogState) -> Cycle:
        low_ms = None
        if plan.kind is CycleKind.SWEEP and self.context.has_delta:
            low_ms = delta_low(self._frontier(state), overlap_ms=self.context.overlap_ms)
        return Cycle(
            cycle_id=0,
            catalog=self.context.name,
            kind=plan.kind,
            strategy=plan.strategy,
            reason=plan.reason,
            source_now_ms=source_now(self.context, fetched, state),
            ceiling_ms=plan.ceiling_ms,
            low_ms=low_ms,
        )
