"""A real backfill, killed at the statements it sends; what is left is what was committed."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from support.command import Ended, Place
from support.postgres import execute
from support.serving import Serve
from support.statement_cutter import LEASES, PAGES, StatementCutter, Where, cutter_before
from support.stored import assert_mirrors, count_models, fetch
from support.tcp_proxy import through

from syncer.simulator import SimulatedSource

MODELS = 25
PAGE_SIZE = 4
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
LAST_STATEMENT = 400

PAGE_BOUNDARIES: list[tuple[str, Where]] = [
    ("query BEGIN", "before"),
    ("execute /* syncer fence_lease", "after"),
    ("execute /* syncer move_checkpoint", "after"),
    ("query COPY", "before"),
    ("copy data", "after"),
    ("copy done", "after"),
    ("query COMMIT", "before"),
    ("query COMMIT", "after"),
]
"""One of each kind; ``-m long`` has them all."""

EMPTY = """
    TRUNCATE scenario.models, syncer.quarantine, syncer.catalog, syncer.cycle, syncer.checkpoint
"""


@asynccontextmanager
async def few_models(serve: Serve) -> AsyncIterator[SimulatedSource]:
    """A source of a few pages; each model has a second of its own, so that they can be counted."""
    async with serve(models=0) as source:
        for number in range(MODELS):
            at = BEGINNING + timedelta(seconds=number)
            source.add_model(id=f"m{number:03}", createdAt=at, updatedAt=at)
        yield source


async def broken_promises(url: str) -> list[str]:
    """Where the rows are not those that the checkpoint claims."""
    stored = await count_models(url)
    rows = await fetch(url, "SELECT after_at, phase FROM syncer.checkpoint")
    if not rows or rows[0]["phase"] == "pending":
        claimed = 0
    elif rows[0]["phase"] == "complete":
        claimed = MODELS
    else:
        # It asks again from one millisecond before the last row that it has stored.
        claimed = (rows[0]["after_at"] - BEGINNING) // timedelta(seconds=1) + 2
    return [] if stored == claimed else [f"{stored} stored, {claimed} claimed"]


async def run_to_its_death(
    place: Place,
    source: SimulatedSource,
    cutter: StatementCutter,
    at: int,
    where: Where,
    begin: str = "",
) -> Ended:
    """A backfill that is killed at a statement, counted from the source's first answer on."""
    cutter.disarm()
    async with place.start("backfill") as running:

        def arm(_: dict[str, str]) -> None:
            source.on_request = None
            cutter.arm(at, where, begin=begin, blow=running.process.kill)

        source.on_request = arm
        return await running.end()


async def test_a_backfill_killed_at_statements_of_its_page_keeps_what_was_committed(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P4: one kill before the BEGIN, in the middle of COPY, after the COMMIT…: each leaves a page
    whole or not at all, and the next run goes on from there.
    """
    url = migrated_database_url
    place.set(source__page_size=PAGE_SIZE, source__max_concurrency=1)
    async with few_models(serve) as source, cutter_before(url) as cutter:
        place.set(database__url=through(cutter, url))
        # The first one leaves an open cycle: from then on the first transaction is a page's.
        first = await run_to_its_death(place, source, cutter, 1, "before", "query COPY")
        assert first.code == -signal.SIGKILL, first
        stored = 0
        for begin, where in PAGE_BOUNDARIES:
            ended = await run_to_its_death(place, source, cutter, 1, where, begin)
            before, stored = stored, await count_models(url)

            assert (ended.code, cutter.struck is None) == (-signal.SIGKILL, False), ended
            assert [] == await broken_promises(url), (begin, where)
            assert (stored > before) == ((begin, where) == ("query COMMIT", "after"))
        cutter.disarm()
        last = await place.run("backfill")

        assert last.code == 0, last.stderr
        await assert_mirrors(url, source)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("application", [PAGES, LEASES], ids=["pages", "leases"])
async def test_a_backfill_killed_at_any_statement_is_completed_by_the_next_one(
    place: Place, serve: Serve, migrated_database_url: str, application: bytes
) -> None:
    """P4: every statement from the first to the last, on an empty mirror each time."""
    url = migrated_database_url
    place.set(source__page_size=PAGE_SIZE, source__max_concurrency=1)
    async with few_models(serve) as source, cutter_before(url, application=application) as cutter:
        place.set(database__url=through(cutter, url))
        broken: list[str] = []
        for number in range(1, LAST_STATEMENT):
            await execute(url, EMPTY)
            async with place.start("backfill") as running:
                cutter.arm(number, blow=running.process.kill)
                ended = await running.end()
            cutter.disarm()
            if cutter.struck is None:
                assert ended.code == 0, ended.stderr
                break
            found = [] if ended.code == -signal.SIGKILL else [f"ended by {ended.code}"]
            found += await broken_promises(url)
            rest = await place.run("backfill")
            if rest.code != 0:
                found.append(f"then {rest.code}: {rest.stderr}")
            else:
                await assert_mirrors(url, source)
            broken += [f"{number} {cutter.struck}: {each}" for each in found]

        assert [] == broken
        assert cutter.struck is None
