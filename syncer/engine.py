"""
Run the cycles of one catalog: backfill, delta, refresh.

Owns which cycle runs, where it starts and what becomes of its errors. Never builds a URL, never
decodes, never writes SQL.
Invariant: success means complete, and complete is what was committed, not "no error was raised".
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from syncer.context import CatalogContext
from syncer.crawl import Fetched
from syncer.cycle import CycleRun, commit_page
from syncer.domain import (
    Checkpoint,
    Cycle,
    CycleKind,
    Millis,
    Partition,
    PartitionPhase,
    Plan,
    Privacy,
    to_millis,
)
from syncer.errors import CatalogPinned, ExitCode, SourceRejected, SyncerError, Verdict
from syncer.outcome import CycleOutcome, Tally, worst
from syncer.planner.choose import MirrorFacts, plan_backfill, plan_delta, plan_refresh
from syncer.planner.frontier import (
    MAX_ROW_AHEAD_MS,
    Frontier,
    believed_date,
    delta_after,
    newest_seen,
)
from syncer.planner.walk import Reading, advance
from syncer.store.catalogs import CatalogState
from syncer.store.progress import FinishPoll
from syncer.store.rows import batch_from_page

Failures = Mapping[str, SyncerError]
DATE_RESOLUTION_MS = 1000
"""Of the ``Date`` header."""

_CycleBody = Callable[[Tally], Awaitable[Failures]]


@dataclass(frozen=True, slots=True)
class Engine:
    """The cycles of one catalog, under one lease."""

    context: CatalogContext

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
        elif state.pin is not None and state.pin != context.pin:
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
            return state
        return await context.catalogs.register(context.name, scope)

    async def backfill(self, state: CatalogState) -> CycleOutcome:
        """Fill the catalog completely; resumes an unfinished backfill, does nothing after one."""
        if state.backfilled_at is not None:
            return CycleOutcome(
                self.context.name, CycleKind.BACKFILL, complete=True, tally=Tally(finished=True)
            )

        async def body(tally: Tally) -> Failures:
            return await self._walk(await self.plan(), state, tally)

        return await self._guarded(CycleKind.BACKFILL, body)

    async def follow(self, state: CatalogState) -> CycleOutcome:
        """Catch up with the source: one delta cycle, or a complete walk where there is no delta."""
        if self.context.settings.privacy is Privacy.PRIVATE:

            async def refresh(tally: Tally) -> Failures:
                return await self._walk(plan_refresh(), state, tally)

            return await self._guarded(CycleKind.SWEEP, refresh)

        async def delta(tally: Tally) -> Failures:
            return await self._delta(state, tally)

        outcome = await self._guarded(CycleKind.DELTA, delta)
        if outcome.complete and outcome.resumed:
            # That was an earlier run's backlog; now for what changed since.
            state = await self.prepare()
            outcome = await self._guarded(CycleKind.DELTA, delta)
        return outcome

    async def plan(self) -> Plan:
        """The backfill that would run now, were none under way."""
        by_type, by_tag = await self.context.catalogs.read_facts(self.context.name)
        return plan_backfill(
            self.context.settings.scope,
            self.context.settings.partition_by,
            MirrorFacts(sum(by_type.values()), by_type, by_tag),
            page_size=self.context.page_size,
        )

    async def _walk(self, plan: Plan, state: CatalogState, tally: Tally) -> Failures:
        """A complete range walk: a new one, or what is left of the one under way."""
        if (resumed := await self._resume(plan, tally)) is not None:
            return resumed
        self.context.voice.cycle_started(plan, reason=plan.reason)
        plan, fetched = await self._first_answer(plan)
        await self._pin(fetched, state)
        return await self._run(plan, fetched, state, tally)

    async def _delta(self, state: CatalogState, tally: Tally) -> Failures:
        plan = plan_delta(self._delta_after(state))
        if (resumed := await self._resume(plan, tally)) is not None:
            return resumed
        started_at = self.context.clock.now()
        fetched = await self._ask(plan)
        await self._pin(fetched, state)
        step = advance(plan.partitions[0].walk, fetched.reading, fetched.page)
        if step.walk.done:
            await self._commit_poll(plan, fetched, state, started_at, tally)
            return {}
        newest_ms = batch_from_page(self.context.name, fetched.page).newest_ms
        seen = [at for at in (newest_ms, state.head_ms) if at is not None]
        ceiling_ms = _backlog_ceiling(self._date(fetched), max(seen, default=None))
        backlog = plan_backlog(plan, ceiling_ms)
        self.context.voice.cycle_started(backlog, reason=backlog.reason)
        return await self._run(backlog, fetched, state, tally)

    async def _resume(self, plan: Plan, tally: Tally) -> Failures | None:
        open_cycle = await self.context.pages.read_open_cycle(self.context.name, plan.kind)
        if open_cycle is None:
            return None
        cycle, checkpoints = open_cycle
        tally.resumed = True
        self.context.voice.cycle_started(plan, reason=f"resumed: {cycle.reason}")
        return await CycleRun(self.context, cycle, tally).run(checkpoints)

    async def _run(
        self, plan: Plan, fetched: Fetched, state: CatalogState, tally: Tally
    ) -> Failures:
        """Store the cycle, then walk it, beginning with the answer that told its source time."""
        cycle, checkpoints = await self.context.pages.open_cycle(
            self._new_cycle(plan, fetched, state), plan.partitions
        )
        run = CycleRun(self.context, cycle, tally, {plan.partitions[0].name: fetched})
        return await run.run(checkpoints)

    async def _commit_poll(
        self,
        plan: Plan,
        fetched: Fetched,
        state: CatalogState,
        started_at: datetime,
        tally: Tally,
    ) -> None:
        effect = FinishPoll(
            cycle=self._new_cycle(plan, fetched, state),
            newest_ms=batch_from_page(self.context.name, fetched.page).newest_ms,
            started_at=started_at,
            watermark_rule=self.context.watermark_rule(),
        )
        await commit_page(self.context, plan.partitions[0].name, fetched.page, effect, tally)

    async def _pin(self, fetched: Fetched, state: CatalogState) -> None:
        """Remember what the catalog is filled from; an empty listing says nothing about that."""
        is_empty = not fetched.page.entries and fetched.page.next_token is None
        if state.pin is None and not is_empty:
            await self.context.catalogs.pin(self.context.lease, self.context.pin)

    async def _ask(self, plan: Plan) -> Fetched:
        """The answer to a plan's first question."""
        checkpoint = Checkpoint(0, plan.partitions[0], PartitionPhase.PENDING)
        return await self.context.fetcher(plan.kind).fetch(checkpoint, Reading())

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

    async def _guarded(self, kind: CycleKind, body: _CycleBody) -> CycleOutcome:
        """Run a cycle, turn its errors into an outcome, and say both once."""
        context, tally = self.context, Tally()
        started_at, began_s = context.clock.now(), context.clock.monotonic()
        error: SyncerError | None = None
        failures: Failures = {}
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
            await self._record_failure(kind, error, started_at)
        context.observer.cycle_finished(
            context.name, kind, "complete" if outcome.complete else "incomplete"
        )
        context.voice.cycle_finished(outcome, duration_s=context.clock.monotonic() - began_s)
        return outcome

    async def _record_failure(
        self, kind: CycleKind, error: SyncerError, started_at: datetime
    ) -> None:
        """Keep the reason for ``status``; if the database is what failed, the log has it."""
        if error.exit_code is ExitCode.LEASE_HELD:
            return
        try:
            await self.context.catalogs.record_error(
                self.context.lease,
                error,
                kind=kind,
                outcome="stopped" if error.verdict is Verdict.STOP else "failed",
                started_at=started_at,
                blocked=error.verdict is Verdict.FATAL,
            )
        except SyncerError as unrecorded:
            self.context.voice.database_trouble(unrecorded)

    def _delta_after(self, state: CatalogState) -> Millis:
        if state.watermark_ms is None:
            raise SyncerError(
                f"catalog {self.context.name} has no watermark although it is backfilled"
            )
        if state.pin is None:
            # Nothing was ever listed: there is nothing to have a watermark of, and another source
            # may be configured now.
            return Millis(0)
        frontier = Frontier(state.watermark_ms, state.settled_from_ms)
        return delta_after(frontier, overlap_ms=self.context.overlap_ms)

    def _date(self, fetched: Fetched) -> Millis | None:
        """``Date`` of a page; a doubted one is as good as none."""
        our_now_ms = to_millis(self.context.clock.now())
        return believed_date(fetched.page.source_now_ms, our_now_ms=our_now_ms)

    def _source_now(self, fetched: Fetched, state: CatalogState) -> Millis:
        """``Date`` of the first page; without one the newest source time seen, which is too old."""
        date_ms, believed = fetched.page.source_now_ms, self._date(fetched)
        if believed is not None:
            return believed
        our_now_ms = to_millis(self.context.clock.now())
        if date_ms is not None:
            self.context.voice.date_doubted(ahead_s=(date_ms - our_now_ms) / 1000)
        seen = [each.updated_ms for each in fetched.page.entries]
        return newest_seen(
            [*seen, state.head_ms, state.watermark_ms],
            latest_ms=max(our_now_ms, date_ms or our_now_ms) + MAX_ROW_AHEAD_MS,
        )

    def _new_cycle(self, plan: Plan, fetched: Fetched, state: CatalogState) -> Cycle:
        return Cycle(
            cycle_id=0,
            catalog=self.context.name,
            kind=plan.kind,
            strategy=plan.strategy,
            reason=plan.reason,
            source_now_ms=self._source_now(fetched, state),
            ceiling_ms=_ceiling(plan),
        )


def plan_backlog(probe: Plan, ceiling_ms: Millis | None) -> Plan:
    """The probe showed more than one page: read on in windows, up to a frozen ceiling.

    A row that changes meanwhile leaves its window only forwards, past the ceiling, where the next
    cycle finds it. ``None``: to the end of the listing.
    """
    before_ms = None if ceiling_ms is None else Millis(ceiling_ms + 1)
    bounded = tuple(
        replace(each, walk=replace(each.walk, before_ms=before_ms)) for each in probe.partitions
    )
    return replace(
        probe,
        strategy="time",
        reason="more changed than one page shows: windows by updatedAt up to the ceiling",
        partitions=bounded,
        estimated_requests=None,
    )


def _backlog_ceiling(source_now_ms: Millis | None, newest_ms: Millis | None) -> Millis | None:
    """How far a backlog is read in one cycle: all that the source had when it was first asked.

    ``Date`` has whole seconds, its rows have milliseconds: without the rest of that second the
    newest rows would wait for the next cycle. Without a ``Date``, or with one that lies behind what
    was listed already, only the listing's end tells.
    """
    if source_now_ms is None:
        return None
    last_ms = Millis(source_now_ms + DATE_RESOLUTION_MS - 1)
    if newest_ms is not None and last_ms < newest_ms <= source_now_ms + MAX_ROW_AHEAD_MS:
        return None
    return last_ms


def _ceiling(plan: Plan) -> Millis | None:
    if plan.kind is not CycleKind.DELTA:
        return None
    before_ms = plan.partitions[0].walk.before_ms
    return None if before_ms is None else Millis(before_ms - 1)


def _unexplained(kind: CycleKind) -> SyncerError:
    return SyncerError(f"a {kind} cycle ended without being complete and without an error")
