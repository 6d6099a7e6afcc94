"""
A partition that is committed page by page while something goes wrong, and what must hold meanwhile.

Owns the series of pages and the invariant of P4: rows, change records, quarantine and checkpoint
agree at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from support.hand_made import AT_MS, CATALOG, make_model, make_page
from support.interrupt import When, run_cancelled
from support.mirror import Mirror, mirroring

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
from syncer.store.effects import MoveCheckpoint
from syncer.store.rows import batch_from_page

if TYPE_CHECKING:
    from syncer.context import CatalogContext

MODELS_PER_PAGE = 4
LAST_SUSPENSION = 80
"""More than a page's commit has."""


@dataclass(slots=True)
class Series:
    """Pages of one partition; each holds a few models and one record for the quarantine."""

    context: CatalogContext
    cycle: Cycle

    @classmethod
    async def begin(cls, context: CatalogContext) -> Series:
        """Open the cycle."""
        await context.catalogs.register(context.name, context.settings.scope)
        now = Millis(AT_MS)
        cycle = Cycle(0, CATALOG, CycleKind.BACKFILL, "time", "by hand", now, None)
        partition = Partition("everything", Walk(SortKey.CREATED))
        opened, _ = await context.pages.open_cycle(cycle, [partition])
        return cls(context, opened)

    async def checkpoint(self) -> Checkpoint:
        """Where the database says that the partition stands."""
        found = await self.context.pages.read_open_cycle(CATALOG, CycleKind.BACKFILL)
        assert found is not None
        return found[1][0]

    async def commit_next(self, before: Checkpoint) -> None:
        """Commit the page that follows a checkpoint."""
        page = _page(before.pages)
        walk = replace(before.partition.walk, after_ms=Millis(AT_MS + before.pages))
        after = replace(
            before,
            partition=replace(before.partition, walk=walk),
            phase=PartitionPhase.WALKING,
            pages=before.pages + 1,
            models=before.models + len(page.entries),
            seq=before.seq + 1,
        )
        effect = MoveCheckpoint(self.cycle, before, after, (), self.context.watermark_rule())
        await self.context.pages.commit_page(batch_from_page(CATALOG, page, read_listed), effect)


def _page(number: int) -> Page:
    models = [make_model(f"m{number:03}-{place}") for place in range(MODELS_PER_PAGE)]
    broken = Unusable(key=f"q{number:03}", reason="made so", raw=b"{}")
    return make_page(*models, broken, sent=number + 1)


async def broken_promises(mirror: Mirror, checkpoint: Checkpoint) -> list[str]:
    """Where rows, change records, quarantine and checkpoint disagree."""
    models = await mirror.value("SELECT count(*) FROM scenario.models")
    told = await mirror.value("SELECT count(*) FROM scenario.model_changes")
    aside = await mirror.value("SELECT count(*) FROM syncer.quarantine")
    found = (models, told, aside, checkpoint.seq, checkpoint.models)
    pages = checkpoint.pages
    stored = MODELS_PER_PAGE * pages
    claimed = (stored, stored, pages, pages, stored + pages)
    return [] if found == claimed else [f"page {pages}: {found} instead of {claimed}"]


async def commits_cancelled_everywhere(url: str, when: When) -> tuple[list[str], int]:
    """Cancel a commit at each of its suspensions in turn, and go on from the stored checkpoint.

    Returns:
        what was broken, and how many commits were durable although their caller saw none.
    """
    broken: list[str] = []
    unnoticed = 0
    async with mirroring(url) as mirror, mirror.context() as context:
        series = await Series.begin(context)
        for number in range(1, LAST_SUSPENSION):
            # A connection prepares each statement once, and a try that need not would step over the
            # COMMIT: so all of them are prepared before each try.
            await series.commit_next(await series.checkpoint())
            before = await series.checkpoint()
            got_there, error = await run_cancelled(series.commit_next(before), number, when)
            after = await series.checkpoint()
            broken += await broken_promises(mirror, after)
            unnoticed += error is not None and after.pages > before.pages
            if not got_there:
                return broken, unnoticed
    return [*broken, f"a commit has {LAST_SUSPENSION} suspensions or more"], unnoticed
