"""
A small cycle whose page is struck at every statement of its transaction in turn.

Owns the pages, the claims that the database must make good at any time, and the sweep over the
statements. The pages insert, update, set aside and, with the last one, end the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.hand_made import AT_MS, CATALOG, make_batch, make_model, make_page
from support.history import lies
from support.mirror import (
    START,
    Mirror,
    SourceTime,
    add_models,
    mirroring,
    new_source,
    spread,
)
from support.statement_cutter import StatementCutter, Where, cutter_before
from support.tcp_proxy import through

from syncer.api.decode import read_listed
from syncer.domain import (
    Checkpoint,
    Cycle,
    CycleKind,
    Millis,
    Page,
    Partition,
    PartitionPhase,
    SortKey,
    Unusable,
    Walk,
)
from syncer.errors import ExitCode, SyncerError
from syncer.store.effects import MoveCheckpoint, NoEffect
from syncer.store.rows import batch_from_page

if TYPE_CHECKING:
    from syncer.context import CatalogContext

NEW_PER_PAGE = 3
LAST_PAGE = 1
LAST_STATEMENT = 80
"""More than a page's transaction has."""

SYNC_MODELS = 10
SYNC_KEYS: dict[str, object] = {"source__page_size": 5, "source__max_concurrency": 1}
LONG_AGO = START - timedelta(days=100)
LAST_STATEMENT_OF_SYNC = 400
EMPTY = (
    "TRUNCATE scenario.models, syncer.quarantine, syncer.catalog, syncer.cycle, syncer.checkpoint"
)
FRONTIER = """
    SELECT after_at, phase FROM syncer.checkpoint JOIN syncer.cycle USING (cycle_id)
    WHERE kind = 'backfill'
"""
BACKFILLED = "SELECT count(*) FROM syncer.catalog WHERE backfilled_at IS NOT NULL"
CLAIMS = """
    SELECT k.pages, k.seq, k.models, k.phase, c.finished_at IS NOT NULL AS finished
    FROM syncer.checkpoint AS k JOIN syncer.cycle AS c USING (cycle_id)
    WHERE cycle_id = $1
"""
STORED = """
    SELECT
        (SELECT count(*) FROM scenario.models WHERE starts_with(id, $1)) AS new,
        (SELECT name FROM scenario.models WHERE id = 'shared') = $1 AS updated,
        (SELECT count(*) FROM syncer.quarantine WHERE starts_with(key, $1)) AS aside
"""


@dataclass(slots=True)
class Crashes:
    """What a sweep over all statements has shown."""

    broken: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    """The statements, in order."""
    unnoticed: list[str] = field(default_factory=list)
    """Those after which the page was durable although its caller saw an error."""


@dataclass(slots=True)
class ShortCycle:
    """Two pages of one partition; ``name`` tells its rows from those of other cycles."""

    mirror: Mirror
    context: CatalogContext
    cycle: Cycle
    name: str
    number: int

    @classmethod
    async def begin(cls, mirror: Mirror, context: CatalogContext, number: int) -> ShortCycle:
        """Open the cycle."""
        cycle = Cycle(0, CATALOG, CycleKind.BACKFILL, "time", "by hand", Millis(AT_MS), None)
        partition = Partition("everything", Walk(SortKey.CREATED))
        opened, _ = await context.pages.open_cycle(cycle, [partition])
        return cls(mirror, context, opened, f"c{number:03}", number)

    async def commit_next(self) -> None:
        """Commit the page that follows the stored checkpoint."""
        before = await self._stored_checkpoint()
        page = self._page(before.pages)
        walk = replace(before.partition.walk, after_ms=Millis(AT_MS + before.pages))
        is_last = before.pages == LAST_PAGE
        after = replace(
            before,
            partition=replace(before.partition, walk=walk),
            phase=PartitionPhase.COMPLETE if is_last else PartitionPhase.WALKING,
            pages=before.pages + 1,
            models=before.models + len(page.entries),
            seq=before.seq + 1,
        )
        effect = MoveCheckpoint(self.cycle, before, after, (), self.context.watermark_rule())
        await self.context.pages.commit_page(batch_from_page(CATALOG, page, read_listed), effect)

    async def pages(self) -> int:
        """How many pages the stored checkpoint claims."""
        claimed = await self._claimed()
        return int(claimed["pages"])

    async def broken_promises(self) -> list[str]:
        """Where rows, change records, quarantine, checkpoint and cycle disagree."""
        claimed = await self._claimed()
        pages, is_over = claimed["pages"], claimed["pages"] > LAST_PAGE
        found = dict(await self.mirror.observer.fetchrow(STORED, self.name) or ())
        found |= {name: claimed[name] for name in ("seq", "models", "phase", "finished")}
        phases = ["pending", "walking", "complete"]
        right = {
            "new": NEW_PER_PAGE * pages,
            "updated": is_over,
            "aside": pages,
            "seq": pages,
            "models": (NEW_PER_PAGE + 1) * pages + is_over,
            "phase": phases[pages],
            "finished": is_over,
        }
        told = await lies(self.mirror.observer)
        if found != right:
            told.append(f"{self.name}, page {pages}: {found} instead of {right}")
        return told

    async def _claimed(self) -> Any:
        return await self.mirror.observer.fetchrow(CLAIMS, self.cycle.cycle_id)

    async def _stored_checkpoint(self) -> Checkpoint:
        found = await self.context.pages.read_open_cycle(CATALOG, CycleKind.BACKFILL)
        assert found is not None
        assert found[0].cycle_id == self.cycle.cycle_id
        return found[1][0]

    def _page(self, page: int) -> Page:
        new = [make_model(f"{self.name}-{page}-{place}") for place in range(NEW_PER_PAGE)]
        broken = Unusable(key=f"{self.name}-{page}-q", reason="made so", raw=b"{}")
        if page == LAST_PAGE:
            newer = AT_MS + 1 + self.number
            new.append(make_model("shared", name=self.name, updated_ms=newer))
        return make_page(*new, broken, sent=2 * self.number + page + 1)


async def crashes_at_every_statement(url: str, where: Where, page: int = LAST_PAGE) -> Crashes:
    """Break the connections at each statement of one page in turn, a new cycle each time.

    Ends with the first broken promise, or when a page went through untouched.

    Args:
        url: of a migrated database.
        where: on which side of the statement.
        page: which of the two.
    """
    seen = Crashes()
    async with (
        mirroring(url) as mirror,
        cutter_before(url) as cutter,
        mirror.context(database__url=through(cutter, url)) as context,
    ):
        await context.catalogs.register(CATALOG, context.settings.scope)
        await context.pages.commit_page(make_batch(make_model("shared")), NoEffect())
        for number in range(1, LAST_STATEMENT):
            cycle = await ShortCycle.begin(mirror, context, number)
            for _ in range(page):
                await cycle.commit_next()
            was_hit = await _crash(seen, cycle, cutter, number, where)
            if seen.broken or not was_hit:
                return seen
    seen.broken.append(f"a page has {LAST_STATEMENT} statements or more")
    return seen


async def _crash(
    seen: Crashes, cycle: ShortCycle, cutter: StatementCutter, number: int, where: Where
) -> bool:
    """One crash and what follows from it; false when the page went through untouched."""
    pages = await cycle.pages()
    # As a connection that has prepared nothing yet: its parses are statements, too.
    async with cycle.context.pages.pool.acquire() as connection:
        connection._drop_local_statement_cache()
    # The checkpoint is read before: the count begins with the page's own transaction.
    cutter.arm(number, where, begin="query BEGIN;")
    try:
        await cycle.commit_next()
        failed = False
    except Exception:  # noqa: BLE001 - whatever a broken connection raises
        failed = True
    cutter.disarm()
    if cutter.struck is None:
        assert not failed
        seen.broken += await cycle.broken_promises()
        return False
    seen.struck.append(cutter.struck)
    await _until_sessions_ended(cycle.mirror)
    seen.broken += await cycle.broken_promises()
    if failed and await cycle.pages() > pages:
        seen.unnoticed.append(cutter.struck)
    while await cycle.pages() <= LAST_PAGE:
        await cycle.commit_next()
    seen.broken += await cycle.broken_promises()
    return True


async def _until_sessions_ended(mirror: Mirror) -> None:
    """A server that has not noticed yet may still be about to commit: that is no outcome."""
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'syncer'"
    )
    while await mirror.value(busy):
        pass


async def syncs_that_break(url: str, where: Where) -> list[str]:
    """Break the connections at each statement of a whole sync in turn.

    The mirror is empty each time. The sync may mend it or end as documented; the next one must be
    complete.

    Returns:
        what was broken.
    """
    broken: list[str] = []
    time = SourceTime()
    source = new_source(time)
    add_models(source, SYNC_MODELS, "m", createdAt=spread(LONG_AGO, step_ms=1000))
    async with (
        mirroring(url, source, time=time, **SYNC_KEYS) as mirror,
        cutter_before(url) as cutter,
    ):
        for number in range(1, LAST_STATEMENT_OF_SYNC):
            await mirror.observer.execute(EMPTY)
            cutter.arm(number, where)
            code = await _exit_code(mirror, through(cutter, url))
            cutter.disarm()
            if cutter.struck is None:
                return broken
            await _until_sessions_ended(mirror)
            found = await _promises_of_sync(mirror)
            if code not in {ExitCode.OK, ExitCode.UNAVAILABLE}:
                found.append(f"ended by {code!r}")
            second = await mirror.sync()
            found += await mirror.differences()
            if not second.complete:
                found.append(f"then not complete: {second.catalog.errors}")
            broken += [f"{number} {where} {cutter.struck}: {each}" for each in found]
    return [*broken, f"a sync has {LAST_STATEMENT_OF_SYNC} statements or more"]


async def _exit_code(mirror: Mirror, url: str) -> ExitCode | Exception:
    """How a sync by way of this URL ends; an error that is not ours is a bug of ours."""
    try:
        return (await mirror.sync(database__url=url)).exit_code
    except SyncerError as error:
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - reported
        return error


async def _promises_of_sync(mirror: Mirror) -> list[str]:
    """The mirror holds exactly what was created up to where the checkpoint stands."""
    row = await mirror.observer.fetchrow(FRONTIER)
    stored = await mirror.value("SELECT count(*) FROM scenario.models")
    after_at, phase = (None, "pending") if row is None else row
    if phase == "complete" or await mirror.value(BACKFILLED):
        claimed = SYNC_MODELS
    elif after_at is None:
        claimed = 0
    else:
        # It asks again from one millisecond before the last row that it has stored.
        claimed = (after_at - LONG_AGO) // timedelta(seconds=1) + 2
    told = await lies(mirror.observer)
    return told if stored == claimed else [*told, f"{stored} models stored, {claimed} claimed"]
