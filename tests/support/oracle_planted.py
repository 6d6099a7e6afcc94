"""
For each planted bug, the profile under which the oracle is to find it.

Owns the aim: trouble of one kind, more of it than the whole breadth draws. Bugs of the walk are in
``support.planted``; those here need a process that is struck or a sweep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from support import planted
from support.oracle import Profile, befores, edits, turns
from support.oracle_edits import TAGS, Edit
from support.oracle_process import End
from support.oracle_world import Conditions

from syncer import crawl
from syncer.crawl import Fetcher
from syncer.domain import CycleKind, SentOrder
from syncer.reconcile import Reconciliation
from syncer.store import effects, lease, progress
from syncer.store.changes import insert_changes
from syncer.store.merging import CommitResult
from syncer.store.pages import PageStore
from syncer.store.pool import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from syncer.store.effects import Effect
    from syncer.store.rows import Batch

    Bug = Callable[[pytest.MonkeyPatch], None]

calm: Any = st.just(())
by_itself = st.just(End())


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """A transaction does not look whether the lease is still its own."""

    async def pass_always(*_: object) -> None:
        return

    patch.setattr(lease, "fence", pass_always)


def settled_at_the_end(patch: pytest.MonkeyPatch) -> None:
    """The settle rule takes the source's time of the last page, not of the first."""
    fetch, finish = Fetcher.fetch, progress.finish_catalog
    last_ms = [0]

    async def remember(self: Fetcher, *arguments: Any) -> crawl.Fetched:
        fetched = await fetch(self, *arguments)
        last_ms[0] = fetched.page.source_now_ms or last_ms[0]
        return fetched

    async def finish_late(connection: Any, queries: Any, cycle: Any, **keywords: Any) -> None:
        late = replace(cycle, source_now_ms=max(last_ms[0], cycle.source_now_ms))
        await finish(connection, queries, late, **keywords)

    patch.setattr(Fetcher, "fetch", remember)
    for module in (progress, effects):
        patch.setattr(module, "finish_catalog", finish_late)


def checkpoint_first(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint moves in a transaction of its own; rows and cycle end follow in another."""

    async def two_transactions(self: PageStore, batch: Batch, effect: Effect) -> CommitResult:
        with translate():
            async with self.pool.acquire() as connection:
                async with connection.transaction():
                    try:
                        await effect.begin(connection, self.queries)
                    except effects.AlreadyCommitted:
                        return CommitResult()
                async with connection.transaction():
                    merged, changes = await self._merge(connection, batch, effect.sweep)
                    await self._quarantine(connection, batch)
                    ended = await effect.finish(
                        connection, self.queries, effects.Merged(merged.wrote)
                    )
                    await insert_changes(connection, self.queries, batch.catalog, changes)
            return replace(merged, cycle_finished=ended)

    patch.setattr(PageStore, "_try_commit", two_transactions)


def small(**chosen: Any) -> Any:
    """Conditions with pages of two and an overlap of two seconds."""
    given = {"page_size": 2, "overlap_s": 2} | chosen
    return st.builds(Conditions, **{name: st.just(value) for name, value in given.items()})


LATE = ("late_update", "late_add", "update", "add", "add_beside_updated")
SPREAD = ("surface", "surface", "add")

lateness = Profile(
    conditions=small(),
    first=st.lists(edits(("add",)), min_size=2, max_size=6),
    before=befores(LATE, ticks_ms=(0, 1, 400, 1000, 2000)),
    jobs=st.just("sync"),
    turns=calm,
    ends=by_itself,
    faults=calm,
)
whole_seconds = replace(
    lateness,
    conditions=small(overlap_s=0),
    before=befores(("add", "update"), ticks_ms=(0, 0, 1000)),
)
movement = replace(
    lateness,
    first=st.lists(edits(SPREAD), min_size=5, max_size=10),
    before=befores((), ticks_ms=(5000,)),
    turns=turns(("remove", "remove", "update"), ticks_ms=(0, 1), at_least=2),
    steps=1,
)
crowds = replace(
    movement,
    first=st.just([Edit("add_crowd", amount=4)] * 2),
    turns=turns(("remove",), ticks_ms=(0,), at_least=3),
)
slowness = replace(movement, turns=turns(("update",), ticks_ms=(1000, 3000), at_least=4))
deaths = replace(
    movement,
    turns=calm,
    ends=st.builds(End, st.sampled_from(("before", "after")), st.integers(20, 60)),
    steps=2,
)
rivalry = replace(
    deaths,
    ends=st.builds(
        End, st.sampled_from(("answer", "commit")), st.integers(1, 8), expire=st.just(True)
    ),
)
overtaking = replace(
    movement,
    conditions=small(page_size=7, concurrency=3, keys=(("tags", list(TAGS)),)),
    first=st.just([Edit("add_crowd", amount=1)]),
    before=befores((), ticks_ms=(1,)),
    jobs=st.just("backfill"),
    turns=turns(("silent",), ticks_ms=(0,), at_least=3),
    ends=st.builds(End, hold=st.lists(st.integers(2, 3), min_size=1, max_size=1).map(tuple)),
    with_tags=False,
)

removal = replace(
    lateness,
    first=st.lists(edits(SPREAD), min_size=5, max_size=10),
    before=befores(("remove", "restore", "silent"), ticks_ms=(1, 1000)),
    jobs=st.sampled_from(("sync", "sweep", "sweep")),
    turns=turns(("remove", "restore"), ticks_ms=(0,), at_least=2),
)
removal_and_deaths = replace(removal, ends=st.just(End()) | deaths.ends)

DIFFERS = "missing|stale"


@dataclass(frozen=True, slots=True)
class Aim:
    """How the oracle is to find a bug."""

    bug: Bug
    profile: Profile
    verdict: str
    """What it then says, as a pattern: a bug that is found by accident is not found."""


FOUND = (
    Aim(planted.no_overlap, lateness, DIFFERS),
    Aim(planted.no_step_back, whole_seconds, DIFFERS),
    Aim(planted.paging_by_token, movement, DIFFERS),
    Aim(settled_at_the_end, slowness, DIFFERS),
    Aim(planted.single_reading, crowds, "missing"),
    Aim(checkpoint_first, deaths, "which it was shown and which is not stored|missing"),
    Aim(planted.arrival_order, overtaking, "stands instead of"),
    Aim(no_fence, rivalry, "although its lease was another's"),
)
"""In any build."""


def no_second_question(patch: pytest.MonkeyPatch) -> None:
    """What a sweep has not seen is taken for absent."""

    async def believe(_: Reconciliation) -> SentOrder:
        return SentOrder(2**62)

    patch.setattr(Reconciliation, "_confirm", believe)


def forgetful_sweep(patch: pytest.MonkeyPatch) -> None:
    """A sweep is resumed without what it has seen, and nobody asks again."""
    read = PageStore.read_open_cycle

    async def forget(self: PageStore, catalog: str, kind: CycleKind) -> Any:
        found = await read(self, catalog, kind)
        if found is not None:
            async with self.pool.acquire() as connection:
                await connection.execute("DELETE FROM syncer.seen")
        return found

    patch.setattr(PageStore, "read_open_cycle", forget)
    no_second_question(patch)


FOUND_BY_SWEEPS = (
    Aim(no_second_question, removal, "removed although|nobody asked|is a tombstone"),
    Aim(forgetful_sweep, removal_and_deaths, "removed although|nobody asked|is a tombstone"),
)
"""By what sweeps remove."""
