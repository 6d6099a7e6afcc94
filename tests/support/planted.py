"""
Mechanisms taken out, one at a time, to show that the checks can fail.

Owns the wrong versions of what keeps the promises. Each takes pytest's monkeypatch and leaves
nothing behind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncer import context, engine, runtime, sourcetime
from syncer.api import normalise
from syncer.domain import Millis, Proven
from syncer.errors import RowUnstorable
from syncer.planner import choose, frontier, walk
from syncer.planner.walk import Reading, Step
from syncer.store import pages
from syncer.store.changes import insert_changes
from syncer.store.effects import AlreadyCommitted, Effect, Merged, MoveCheckpoint
from syncer.store.merging import CommitResult
from syncer.store.pages import PageStore
from syncer.store.queries import Queries, load_queries

if TYPE_CHECKING:
    import pytest

    from syncer.domain import Crossing, Page, Walk
    from syncer.planner.frontier import Frontier
    from syncer.store.pool import Connection
    from syncer.store.rows import Batch


def no_overlap(patch: pytest.MonkeyPatch) -> None:
    """A delta walk asks after the watermark, as if no change ever showed late."""

    def after_the_watermark(known: Frontier, *, overlap_ms: int) -> Millis:
        return known.watermark_ms

    patch.setattr(engine, "delta_after", after_the_watermark)


def no_step_back(patch: pytest.MonkeyPatch) -> None:
    """A delta walk asks after the settled instant, as if that could gain no row."""

    def after_what_settled(known: Frontier, *, overlap_ms: int) -> Millis:
        settled = known.settled_from_ms
        before = known.watermark_ms if settled is None else Millis(settled - overlap_ms)
        return min(known.watermark_ms, before)

    patch.setattr(engine, "delta_after", after_what_settled)


def no_overlap_after_backfill(patch: pytest.MonkeyPatch) -> None:
    """The watermark starts at the first page of the backfill, not an overlap before it."""

    def at_the_first_page(source_now_ms: Millis, *, overlap_ms: int) -> Millis:
        return source_now_ms

    patch.setattr(frontier, "first_watermark", at_the_first_page)
    no_overlap(patch)


def watermark_from_the_end(patch: pytest.MonkeyPatch) -> None:
    """The watermark starts where the backfill ended, whatever moved meanwhile."""

    def rule(_: Any) -> Any:
        return lambda stored, newest, cycle: Proven(
            stored or Millis(cycle.source_now_ms + 100_000), newest
        )

    patch.setattr(context.CatalogContext, "watermark_rule", rule)
    no_overlap(patch)


def paging_by_token(patch: pytest.MonkeyPatch) -> None:
    """Follow the source's offsets from the first page to the last, as its own SDK does."""

    def follow(question: Walk, reading: Reading, page: Page, times: list[Millis]) -> Step:
        if page.next_token is None:
            return Step(replace(question, done=True), Reading())
        return Step(question, replace(reading, token=page.next_token))

    patch.setattr(walk, "_advance_by_key", follow)
    patch.setattr(walk, "_advance_by_token", follow)


def stepping_past_the_instant(patch: pytest.MonkeyPatch) -> None:
    """Ask from the last row's own time: bounds are exclusive, so its neighbours are skipped."""
    step = walk._advance_by_key

    def too_far(question: Walk, reading: Reading, page: Page, times: list[Millis]) -> Step:
        if page.next_token is not None and times:
            return Step(replace(question, after_ms=times[-1]), Reading())
        return step(question, reading, page, times)

    patch.setattr(walk, "_advance_by_key", too_far)


def single_reading(patch: pytest.MonkeyPatch) -> None:
    """A span that was crossed by token is believed at the first reading."""
    follow = walk._advance_by_token

    def believe(question: Walk, reading: Reading, page: Page, times: list[Millis]) -> Step:
        step = follow(question, reading, page, times)
        crossing: Crossing | None = step.walk.crossing
        return step if crossing is None else walk._leave_crossing(step.walk, crossing)

    patch.setattr(walk, "_advance_by_token", believe)


def short_page_is_the_end(patch: pytest.MonkeyPatch) -> None:
    """A page with fewer rows than asked for ends the walk, whatever its token says."""
    advance = walk.advance

    def stop_early(question: Walk, reading: Reading, page: Page) -> Step:
        short = len(page.entries) < 40
        return advance(question, reading, replace(page, next_token=None) if short else page)

    patch.setattr("syncer.crawl.advance", stop_early)
    patch.setattr(engine, "advance", stop_early)


def known_types_only(patch: pytest.MonkeyPatch) -> None:
    """Walk the types that somebody has listed, and believe that there are no others."""
    plan_by = choose.plan_backfill

    def without_proof(*arguments: Any, **keywords: Any) -> Any:
        plan = plan_by(*arguments, **keywords)
        return replace(plan, partitions=tuple(p for p in plan.partitions if not p.is_proof))

    patch.setattr(engine, "plan_backfill", without_proof)


def ceiling_in_whole_seconds(patch: pytest.MonkeyPatch) -> None:
    """A backlog ends at the ``Date``, although rows are finer than that."""
    patch.setattr(sourcetime, "DATE_RESOLUTION_MS", 1)


def arrival_order(patch: pytest.MonkeyPatch) -> None:
    """At equal ``updatedAt`` the last to arrive wins."""
    _change_query(
        patch,
        "update_models",
        "(p.updated_at, p.sent_order) > (m.updated_at, m.sent_order)",
        "p.updated_at >= m.updated_at",
    )


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    """What was chosen before the lock is written after it, whatever stands there now."""
    _change_query(
        patch,
        "update_models",
        "AND (p.updated_at, p.sent_order) > (m.updated_at, m.sent_order)",
        "",
    )


def whoever_comes_is_newer(patch: pytest.MonkeyPatch) -> None:
    """Neither look compares versions: the last to arrive wins."""
    statements = _changed(
        "update_models",
        "AND (p.updated_at, p.sent_order) > (m.updated_at, m.sent_order)",
        "",
    )
    choose = statements["choose_models"]
    changed = choose.replace("m.updated_at > p.updated_at THEN", "false THEN")
    assert changed != choose
    _use(patch, statements | {"choose_models": changed})


def any_page_undoes_a_tombstone(patch: pytest.MonkeyPatch) -> None:
    """A page that was in flight when a removal was confirmed brings the model back."""
    _change_query(patch, "update_models", "THEN p.sent_order > m.sent_order", "THEN true")


def checkpoint_apart(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint moves in a transaction of its own, before the rows are stored."""

    async def two_transactions(self: PageStore, batch: Batch, effect: Effect) -> CommitResult:
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                try:
                    await effect.begin(connection, self.queries)
                except AlreadyCommitted:
                    return CommitResult()
            async with connection.transaction():
                _, changes = await self._merge(connection, batch)
                await self._quarantine(connection, batch)
                await insert_changes(connection, self.queries, batch.catalog, changes)
        return CommitResult()

    patch.setattr(PageStore, "_try_commit", two_transactions)


def rows_before_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """The rows are stored first, and the checkpoint follows when they are durable."""

    async def two_transactions(self: PageStore, batch: Batch, effect: Effect) -> CommitResult:
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                _, changes = await self._merge(connection, batch)
                await self._quarantine(connection, batch)
                await insert_changes(connection, self.queries, batch.catalog, changes)
            async with connection.transaction():
                await effect.begin(connection, self.queries)
        return CommitResult()

    patch.setattr(PageStore, "_try_commit", two_transactions)


def checkpoint_commits_first(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint is durable before the rows that it speaks of are sent."""
    begin = MoveCheckpoint.begin

    async def commit_after(self: MoveCheckpoint, connection: Connection, queries: Queries) -> None:
        await begin(self, connection, queries)
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")

    patch.setattr(MoveCheckpoint, "begin", commit_after)


def cycle_ends_apart(patch: pytest.MonkeyPatch) -> None:
    """The last page is durable before its cycle is ended."""
    finish = MoveCheckpoint.finish

    async def commit_before(
        self: MoveCheckpoint, connection: Connection, queries: Queries, merged: Merged
    ) -> bool:
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")
        return await finish(self, connection, queries, merged)

    patch.setattr(MoveCheckpoint, "finish", commit_before)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Whoever once had the lease may write for ever."""
    _change_query(
        patch, "fence_lease", "AND epoch = $2\n    AND holder IS NOT NULL", "AND $2::bigint > 0"
    )


def everything_is_content(patch: pytest.MonkeyPatch) -> None:
    """The hash takes in what the source re-signs and recomputes by itself."""
    patch.setattr(normalise, "needs_redaction", lambda _raw: False)
    patch.setattr(normalise, "_stable", lambda record: record)


def one_bad_apple(patch: pytest.MonkeyPatch) -> None:
    """What PostgreSQL refuses is not looked for: its whole page goes to quarantine."""

    async def all_of_them(self: PageStore, _connection: Any, _batch: Batch, models: Any) -> Any:
        return [pages._refused(model, RowUnstorable()) for model in models]

    patch.setattr(PageStore, "_find_refused", all_of_them)


def _change_query(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    _use(patch, _changed(name, old, new))


def _changed(name: str, old: str, new: str) -> dict[str, str]:
    queries = load_queries()
    statements = {each: queries[each] for each in queries}
    assert old in statements[name], f"{name}.sql no longer holds {old}"
    return statements | {name: statements[name].replace(old, new)}


def _use(patch: pytest.MonkeyPatch, statements: dict[str, str]) -> None:
    patch.setattr(runtime, "load_queries", lambda: Queries(statements))
