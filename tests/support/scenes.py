"""
What the source may do to a mirror, each as a scene that ends with the differences that are left.

Owns situations, not judgements: a promise test wants no differences, a planted bug must show some.
Each scene gets a migrated database of its own and plays over HTTP, under the source's own clock.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.mirror import (
    SLIM,
    START,
    Mirror,
    SourceTime,
    add_models,
    mirroring,
    new_source,
    spread,
)

from syncer.errors import Stopped

if TYPE_CHECKING:
    from syncer.outcome import Tally
    from syncer.simulator import SimulatedSource

OVERLAP_S = 300
LONG_AGO = START - timedelta(days=100)
INSTANT = START - timedelta(days=3)
"""The millisecond on which many models stand."""
DELTAS: dict[str, object] = {"source__page_size": 25}
"""A listing that fits one page is swept at each poll; these are about what a delta walk finds."""


async def tie_by_updated(url: str, *, page_size: int = 500, models: int = 1200) -> list[str]:
    """A bulk edit puts more models on one millisecond than fit a page, for the delta walk."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, models, "m", createdAt=spread(LONG_AGO, step_ms=997))
    async with mirroring(url, source, time=time, source__page_size=page_size) as mirror:
        await mirror.backfill(source__page_size=500)
        edited = time.advance(60)
        for model_id in ids:
            source.update_model(model_id, name="edited", updatedAt=edited)
        time.advance(1)
        await mirror.sync()
        left = await mirror.differences()
        # One more on that very instant, shown only now: the overlap must ask for it again.
        source.add_model(**SLIM, id="m-late", createdAt=LONG_AGO, updatedAt=edited)
        time.advance(OVERLAP_S / 2)
        await mirror.sync()
        return left + await mirror.differences()


async def tie_by_created(url: str, *, page_size: int = 500, models: int = 1200) -> list[str]:
    """An import put more models on one millisecond than fit a page, for the range walk."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 40, "a", createdAt=spread(LONG_AGO, step_ms=7))
    add_models(source, models, "m", createdAt=INSTANT, updatedAt=INSTANT)
    add_models(source, 40, "z", createdAt=spread(INSTANT + timedelta(hours=1), step_ms=7))
    async with mirroring(url, source, time=time, source__page_size=page_size) as mirror:
        await mirror.sync()
        return await mirror.differences()


async def row_leaves_a_tie(
    url: str,
    *,
    order: str = "created",
    by: str = "remove",
    page_size: int = 100,
    settle: bool = True,
) -> list[str]:
    """Rows that a token chain has passed leave their instant; the rest shifts to the left.

    Without ``settle`` nothing is asked again afterwards: a later cycle would cover up what the walk
    itself has missed.
    """
    time = SourceTime()
    source = new_source(time)
    created: Any = INSTANT if order == "created" else spread(LONG_AGO, step_ms=997)
    ids = add_models(source, 350, "m", createdAt=created, updatedAt=LONG_AGO)
    add_newest(source)
    keys: dict[str, object] = {"source__page_size": page_size, "source__max_concurrency": 1}
    gone: set[str] = set()

    def leave(params: dict[str, str]) -> None:
        # Once, when the second page of the group is asked for: the first three rows go.
        if "paginationToken" not in params or gone:
            return
        time.advance(1)
        for model_id in ids[:3]:
            gone.add(model_id)
            if by == "remove":
                source.remove_model(model_id)
            else:
                source.update_model(model_id, name="moved")

    async with mirroring(url, source, time=time, **keys) as mirror:
        if order == "updated":
            await mirror.backfill()
            edited = time.advance(60)
            for model_id in ids:
                source.update_model(model_id, name="edited", updatedAt=edited)
            # Longer ago than the overlap: the next cycle will not ask for that instant again.
            time.advance(OVERLAP_S + 10)
        source.on_request = leave
        await mirror.sync()
        assert gone, "no token was ever followed"
        if settle:
            await mirror.settle()
        return await mirror.differences(removed=gone if by == "remove" else ())


def add_newest(source: SimulatedSource) -> None:
    """A later change, so that delta walks do not read the others once more by themselves."""
    add_models(source, 1, "newest", createdAt=LONG_AGO, updatedAt=LONG_AGO + timedelta(days=30))


async def rows_leave_behind_the_walk(url: str, *, page_size: int = 20) -> list[str]:
    """Before each page of a backfill some rows vanish that were passed already."""
    time = SourceTime()
    source = new_source(time)
    created = spread(LONG_AGO, step_ms=86_400)
    ids = add_models(source, 200, "m", createdAt=created, updatedAt=LONG_AGO)
    add_newest(source)
    gone: list[str] = []

    def vanish(_params: dict[str, str]) -> None:
        if len(source.requests) and len(gone) < 10:
            gone.append(ids[len(gone)])
            source.remove_model(gone[-1])

    source.on_request = vanish
    keys: dict[str, object] = {"source__page_size": page_size, "source__max_concurrency": 1}
    async with mirroring(url, source, time=time, **keys) as mirror:
        await mirror.sync()
        return await mirror.differences(removed=gone)


async def edits_while_walking(
    url: str, *, seed: int, order: str = "created", page_size: int = 50
) -> list[str]:
    """Models are updated, added and removed before each of the first answers, then silence."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    time = SourceTime()
    source = new_source(time)
    if order == "created":
        add_models(source, 180, "m", createdAt=INSTANT, updatedAt=LONG_AGO)
    add_models(source, 160, "n", createdAt=spread(LONG_AGO, step_ms=1), updatedAt=LONG_AGO)
    async with mirroring(url, source, time=time, source__page_size=page_size) as mirror:
        if order == "updated":
            await mirror.backfill()
            time.advance(OVERLAP_S + 60)
            for model_id in source.live_models():
                source.update_model(model_id, name="edited")
                time.advance(rng.choice((0, 0, 0.001)))
        editor = Editor(source, time, rng, busy_answers=12)
        source.on_request = editor.edit
        await mirror.sync()
        source.on_request = None
        await mirror.settle()
        return await mirror.differences(removed=editor.removed)


class Editor:
    """Makes a few random edits before each answer, for as many answers as it is told."""

    def __init__(
        self, source: SimulatedSource, time: SourceTime, rng: random.Random, *, busy_answers: int
    ) -> None:
        self.removed: set[str] = set()
        self._source = source
        self._time = time
        self._rng = rng
        self._busy_answers = busy_answers
        self._added = 0

    def edit(self, _params: dict[str, str]) -> None:
        if self._busy_answers == 0:
            return
        self._busy_answers -= 1
        for _ in range(self._rng.randint(0, 4)):
            self._time.advance(self._rng.choice((0, 0.001, 0.5)))
            self._rng.choice((self._update, self._remove, self._add))()

    def _update(self) -> None:
        self._source.update_model(self._any(), name=f"edit {self._rng.random()}")

    def _remove(self) -> None:
        model_id = self._any()
        self._source.remove_model(model_id)
        self.removed.add(model_id)

    def _add(self) -> None:
        self._added += 1
        created = self._rng.choice((INSTANT, self._time.now))
        # Ids before and after the others: within an instant the source sorts by id.
        prefix = self._rng.choice("az")
        self._source.add_model(**SLIM, id=f"{prefix}{self._added:05}", createdAt=created)

    def _any(self) -> str:
        return self._rng.choice(sorted(self._source.live_models()))


async def late_publication(url: str, *, late_s: float = 290, poll_every_s: float = 20) -> list[str]:
    """A change shows up in the index long after others that are newer, but within the overlap."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 30, "m", createdAt=LONG_AGO, updatedAt=spread(LONG_AGO, step_ms=5))
    async with mirroring(url, source, time=time, **DELTAS) as mirror:
        await mirror.sync()
        time.advance(600)
        await mirror.sync()
        source.publish_later({"id": ids[0], "name": "late update"}, after_s=late_s)
        source.publish_later(SLIM | {"id": "m-late"}, after_s=late_s)
        for polled in range(int(late_s / poll_every_s) + 2):
            time.advance(poll_every_s)
            # Something newer keeps the watermark ahead of what is late.
            source.update_model(ids[1], name=f"newer {polled}")
            await mirror.sync()
        return await mirror.differences()


async def late_by_exactly_the_overlap(url: str) -> list[str]:
    """A poll whose ``Date`` is the instant's end of lateness, taken just before it shows."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 30, "m", createdAt=LONG_AGO, updatedAt=spread(LONG_AGO, step_ms=5))
    async with mirroring(url, source, time=time, **DELTAS) as mirror:
        await mirror.sync()
        changed = time.advance(1000)
        source.publish_later({"id": ids[0], "name": "late"}, after_s=OVERLAP_S)
        time.advance(1)
        source.update_model(ids[1], name="newer")
        # The answer is computed a millisecond too early, its Date is written when it is due.
        time.now = changed + timedelta(seconds=OVERLAP_S, milliseconds=-3)
        time.tick_ms = 1
        await mirror.sync()
        time.tick_ms = 0
        settled = await mirror.value("SELECT settled_from FROM syncer.catalog")
        assert settled == changed + timedelta(seconds=OVERLAP_S)
        time.advance(1)
        await mirror.sync()
        return await mirror.differences()


async def row_joins_the_watermarks_instant(url: str, *, overlap_s: int = OVERLAP_S) -> list[str]:
    """The newest stored row's own millisecond gains another row after the poll."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 30, "m", createdAt=LONG_AGO, updatedAt=LONG_AGO)
    async with mirroring(url, source, time=time, overlap_s=overlap_s, **DELTAS) as mirror:
        await mirror.sync()
        time.advance(1000)
        source.add_model(**SLIM, id="first")
        await mirror.sync()
        source.add_model(**SLIM, id="second")
        await mirror.sync()
        return await mirror.differences()


async def update_after_its_page(url: str, *, late_s: float = 0) -> list[str]:
    """A model is updated during the backfill, after the page that held it was read."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 60, "m", createdAt=spread(LONG_AGO, step_ms=86_400))
    edited: list[str] = []

    def edit(_params: dict[str, str]) -> None:
        time.advance(10)
        if len(source.requests) == 3:
            edited.append(ids[0])
            source.publish_later({"id": ids[0], "name": "edited"}, after_s=late_s)

    source.on_request = edit
    keys: dict[str, object] = {"source__page_size": 10, "source__max_concurrency": 1}
    async with mirroring(url, source, time=time, **keys) as mirror:
        await mirror.backfill()
        source.on_request = None
        assert edited
        assert late_s or await mirror.differences(), "the backfill saw the update after all"
        time.advance(late_s)
        await mirror.sync()
        return await mirror.differences()


async def change_just_before_the_backfill(url: str) -> list[str]:
    """A change from before the backfill shows only after it, late by less than the overlap."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 60, "m", createdAt=spread(LONG_AGO, step_ms=86_400))
    async with mirroring(url, source, time=time, **DELTAS) as mirror:
        source.publish_later({"id": ids[0], "name": "edited"}, after_s=OVERLAP_S - 1)
        source.publish_later(SLIM | {"id": "m-late", "createdAt": LONG_AGO}, after_s=OVERLAP_S - 1)
        time.advance(OVERLAP_S - 10)
        await mirror.backfill()
        time.advance(10)
        await mirror.sync()
        return await mirror.differences()


async def backlog_while_it_moves(url: str, *, changes: int = 2000, seed: int = 1) -> list[str]:
    """Many changes since the last poll are read in windows, and the source goes on changing."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, changes, "m", createdAt=LONG_AGO, updatedAt=LONG_AGO)
    async with mirroring(url, source, time=time, source__page_size=100) as mirror:
        await mirror.backfill(source__page_size=500)
        time.advance(600)
        edit_spread_out(source, time, ids)
        editor = Editor(source, time, rng, busy_answers=15)
        source.on_request = editor.edit
        done = await mirror.sync()
        source.on_request = None
        windows = await mirror.value(
            "SELECT count(*) FROM syncer.checkpoint JOIN syncer.cycle USING (cycle_id)"
            " WHERE kind = 'delta' AND ceiling IS NOT NULL"
        )
        assert done.complete, done.catalog.errors
        assert windows > 1, "the backlog was not cut"
        await mirror.settle()
        return await mirror.differences(removed=editor.removed)


async def backlog_is_interrupted(url: str) -> tuple[list[str], list[Any]]:
    """A fan-out stops in the middle and another process finishes it later.

    Returns:
        the differences, and what the catalog and the cycle say of source time before and after.
    """
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 1500, "m", createdAt=LONG_AGO, updatedAt=LONG_AGO)
    async with mirroring(url, source, time=time, source__page_size=100) as mirror:
        await mirror.backfill(source__page_size=500)
        time.advance(600)
        edit_spread_out(source, time, ids)
        asked = len(source.requests)
        stopped = await mirror.run_until(lambda: len(source.requests) > asked + 6, Stopped())
        assert not stopped.complete, "the fan-out was not interrupted"
        began = await mirror.observer.fetchrow(_OPEN_CYCLE)
        proven: list[Any] = []

        async def look(params: dict[str, str]) -> None:
            # The next cycle's probe: what the finished one has proven stands in the catalog.
            if "updatedBefore" not in params:
                proven.append(await mirror.observer.fetchrow(_PROVEN))

        source.on_request = look
        # Long after: what changed meanwhile lies past the ceiling and belongs to the next cycle.
        time.advance(3600)
        source.update_model(ids[0], name="past the ceiling")
        await mirror.sync()
        ended = await mirror.observer.fetchrow(_CYCLE, began["cycle_id"] if began else None)
        return await mirror.differences(), [began, ended, *proven]


_OPEN_CYCLE = (
    "SELECT cycle_id, source_now, ceiling FROM syncer.cycle"
    " WHERE kind = 'delta' AND finished_at IS NULL"
)
_PROVEN = "SELECT settled_from, watermark FROM syncer.catalog"
_CYCLE = "SELECT cycle_id, source_now, ceiling FROM syncer.cycle WHERE cycle_id = $1"


def edit_spread_out(source: SimulatedSource, time: SourceTime, ids: list[str]) -> None:
    """One edit every 50 ms: a backlog that can be cut by time."""
    for model_id in ids:
        time.advance(0.05)
        source.update_model(model_id, name="edited")


async def faulty_pages(url: str, *faults: str, page_size: int = 40) -> list[str]:
    """Pages that are short, empty or end in an odd way, for backfill and backlog alike."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 150, "m", createdAt=spread(LONG_AGO, step_ms=86_400))
    add_models(source, 100, "t", createdAt=INSTANT, updatedAt=LONG_AGO)
    for fault in faults:
        source.add_fault(*_fault(fault))
    async with mirroring(url, source, time=time, source__page_size=page_size) as mirror:
        first = await mirror.sync()
        left = await mirror.differences()
        time.advance(600)
        edit_spread_out(source, time, ids)
        second = await mirror.sync()
        assert first.complete, first.catalog.errors
        assert second.complete, second.catalog.errors
        return left + await mirror.differences()


async def requests_behind_empty_pages(url: str, *, pages: int) -> int:
    """An empty page with a token stands before every page of a backfill; what that costs."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 40 * pages, "m", createdAt=spread(LONG_AGO, step_ms=86_400))
    source.add_fault("empty-page-with-token")
    keys: dict[str, object] = {"source__page_size": 41, "source__max_concurrency": 1}
    async with mirroring(url, source, time=time, **keys) as mirror:
        done = await mirror.backfill()
        assert [] == await mirror.differences()
        return done.requests


def _fault(spec: str) -> tuple[Any, ...]:
    name, _, times = spec.partition(":")
    return (name, int(times)) if times else (name,)


async def partitioned(url: str, partition_by: str, **keys: object) -> tuple[list[str], Mirror, Any]:
    """A generated catalog, types that nobody has listed included, walked in partitions."""
    time = SourceTime()
    source = new_source(time, models=600)
    source.add_model(id="unheard-of", type="splat-9000", createdAt=LONG_AGO, tags=[])
    chosen = {"partition_by": partition_by, "source__page_size": 100} | keys
    async with mirroring(url, source, time=time, **chosen) as mirror:
        done = await mirror.backfill()
        return await mirror.differences(), mirror, done


async def same_models_at_once(url: str, *, models: int = 300) -> tuple[list[str], int, int]:
    """Three tag partitions that carry the same models are answered at the same moment.

    Returns:
        the differences, the rows that pages said they inserted, and the pages.
    """
    time = SourceTime()
    source = new_source(time)
    tags = ["A", "B", "C"]
    add_models(source, models, "m", createdAt=spread(LONG_AGO, step_ms=86_400), tags=tags)
    crowd = asyncio.Barrier(2)
    waited_for = {"B", "C"}

    async def wait_for_the_other(params: dict[str, str]) -> None:
        # The first partition is asked alone, for the source's time; the others begin together.
        if params.get("tags") in waited_for:
            waited_for.remove(params["tags"])
            await crowd.wait()

    source.on_request = wait_for_the_other
    async with mirroring(url, source, time=time, tags=tags, source__page_size=50) as mirror:
        done = await mirror.backfill()
        return await mirror.differences(), done.tally.inserted, done.tally.pages


async def listed_again_a_week_later(url: str) -> Tally:
    """A source that re-signs, recomputes and reorders is listed anew in another signing window."""
    time = SourceTime()
    source = new_source(time, models=400, volatile=True)
    async with mirroring(url, source, time=time) as mirror:
        await mirror.backfill()
        time.advance(timedelta(days=8).total_seconds())
        return (await mirror.refill()).tally
