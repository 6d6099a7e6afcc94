"""What an attack on the crawl once broke: lost answers, empty listings, wrong dates, fan-out."""

from __future__ import annotations

import json
import math
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.commit_cutter import CommitCutter
from support.mirror import (
    CATALOG,
    START,
    Mirror,
    RightClock,
    SourceTime,
    add_models,
    mirroring,
    new_source,
    spread,
)
from support.tcp_proxy import through

from syncer.errors import CatalogPinned, ExitCode
from syncer.simulator import SimulatedSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG_AGO = START - timedelta(days=100)
FAR = datetime(2099, 1, 1, tzinfo=UTC)
OVERLAP_S = 300
PAGE_SIZE = 10

COMPLETES_A_CYCLE = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity AS a
        JOIN pg_locks AS l USING (pid)
        WHERE a.datname = current_database() AND a.state = 'idle in transaction'
            AND (
                a.query LIKE '/* syncer finish_catalog_cycle */%'
                OR a.query LIKE '/* syncer insert_changes */%'
            )
            AND l.relation = 'syncer.catalog'::regclass AND l.mode = 'RowExclusiveLock'
    )
"""
"""Whether an open transaction has just said that a cycle is complete: its COMMIT comes next."""


def source_of(time: SourceTime, models: int) -> SimulatedSource:
    """Models that changed long ago, a minute apart."""
    source = new_source(time)
    spaced = spread(LONG_AGO, step_ms=60_000)
    add_models(source, models, "m", createdAt=spaced, updatedAt=spaced)
    return source


@asynccontextmanager
async def cut_at_the_last_commit(url: str, models: int) -> AsyncIterator[tuple[Mirror, str]]:
    """A source, and a way to its mirror where the answer to a cycle's last COMMIT is lost once."""
    time = SourceTime()
    cutter = CommitCutter(url, "after")
    await cutter.restore()
    keys = {"source__page_size": PAGE_SIZE, "lease__ttl_s": 300}
    try:
        async with mirroring(url, source_of(time, models), time=time, **keys) as mirror:

            async def aim() -> bool:
                return bool(await mirror.value(COMPLETES_A_CYCLE))

            cutter.aim, cutter.armed = aim, 1
            yield mirror, through(cutter, url)

            assert 1 == cutter.struck
    finally:
        await cutter.close()


async def is_blocked(mirror: Mirror) -> bool:
    """What ``status`` would say."""
    phase = await mirror.value("SELECT phase FROM scenario.sync_status WHERE catalog = $1", CATALOG)
    return bool(phase == "blocked")


@pytest.mark.parametrize("models", [55, 5], ids=["the last of several pages", "the only page"])
async def test_a_lost_answer_to_the_last_commit_of_a_backfill_is_no_failure(
    migrated_database_url: str, models: int
) -> None:
    """P4, P8: the page turns out to be stored, and with it the end of the cycle."""
    async with cut_at_the_last_commit(migrated_database_url, models) as (mirror, url):
        done = await mirror.backfill(database__url=url)

        assert done.complete
        assert ExitCode.OK == done.exit_code
        assert not await is_blocked(mirror)
        assert [] == await mirror.differences()


@pytest.mark.parametrize("changes", [0, 5, 35], ids=["nothing new", "one page", "a backlog"])
async def test_a_lost_answer_to_the_last_commit_of_a_delta_is_no_failure(
    migrated_database_url: str, changes: int
) -> None:
    """P4, P8: as for a backfill; what was stored is stored once."""
    async with cut_at_the_last_commit(migrated_database_url, 15) as (mirror, url):
        await mirror.backfill()
        mirror.time.advance(60)
        add_models(mirror.source, changes, "new")
        done = await mirror.sync(database__url=url)

        assert done.complete
        assert ExitCode.OK == done.exit_code
        assert not await is_blocked(mirror)
        assert [] == await mirror.differences()


async def test_an_empty_listing_pins_nothing_and_another_source_fills_the_catalog(
    migrated_database_url: str,
) -> None:
    """P8: a wrong address that lists nothing must not claim the catalog for good."""
    time = SourceTime()
    listed = source_of(time, 25)
    async with (
        mirroring(migrated_database_url, new_source(time), time=time) as mirror,
        listed.serve() as other_url,
    ):
        empty = await mirror.sync()
        time.advance(60)
        filled = await mirror.sync(source__base_url=other_url)

        assert (ExitCode.OK, ExitCode.OK) == (empty.exit_code, filled.exit_code)
        assert 25 == await mirror.value("SELECT count(*) FROM scenario.live_models")
        # Something was listed: now the pin stands, whatever the first source lists by then.
        add_models(mirror.source, 3, "other")
        refused = await mirror.sync()

        assert ExitCode.USAGE == refused.exit_code
        assert isinstance(refused.catalog.error, CatalogPinned)
        assert 0 == refused.requests
        assert 25 == await mirror.value("SELECT count(*) FROM scenario.live_models")


def list_far_future(source: SimulatedSource, *, usable: bool, added: datetime) -> None:
    """A row that says that it was changed in 2099."""
    if usable:
        add_models(source, 1, "far", createdAt=added, updatedAt=FAR)
        return
    record = {"id": "far", "name": "a\0b", "createdAt": added, "updatedAt": FAR}
    raw = json.dumps(record, default=datetime.isoformat).encode()
    source.put_raw("far", raw, created_at=added, updated_at=FAR)


@pytest.mark.parametrize("changes", [4, 35], ids=["a page", "a backlog"])
@pytest.mark.parametrize("fault", ["", "no-date-header"])
@pytest.mark.parametrize("usable", [True, False], ids=["usable", "unusable"])
@pytest.mark.parametrize("when", ["before the backfill", "after it"])
async def test_a_row_dated_in_2099_hides_no_later_change(
    migrated_database_url: str, when: str, usable: bool, fault: str, changes: int
) -> None:
    """P3: neither watermark nor head is carried to where no real change will ever come."""
    time = SourceTime()
    source = source_of(time, 25)
    if fault:
        source.add_fault(fault)
    if when == "before the backfill":
        list_far_future(source, usable=usable, added=LONG_AGO)
    keys = {"source__page_size": PAGE_SIZE}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        mirror.clock = RightClock(time)
        await mirror.backfill()
        if when == "after it":
            list_far_future(source, usable=usable, added=time.now)
        for number in range(4):
            time.advance(60)
            add_models(source, changes, f"new{number}-")
            source.update_model("m00003", name=f"change {number}")
            done = await mirror.sync()

            assert done.complete
            # It lies past the ceiling of a backlog itself, so it waits for a quiet cycle.
            assert set(await mirror.differences()) <= {"missing far00000"}
            reached = await mirror.observer.fetchrow("SELECT watermark, head FROM syncer.catalog")
            assert reached is not None
            assert max(reached) <= time.now + timedelta(hours=1)
        for _ in range(2):
            time.advance(2 * OVERLAP_S)
            await mirror.sync()

        assert [] == await mirror.differences()


@pytest.mark.parametrize("changes", [1, 4, 35], ids=["one", "a page", "a backlog"])
@pytest.mark.parametrize("fault", ["clock-ahead-10m", "clock-behind-10m"])
async def test_a_date_that_is_ten_minutes_wrong_hides_no_change_from_the_next_delta(
    migrated_database_url: str, fault: str, changes: int
) -> None:
    """P1: twice the overlap; a watermark is never raised over what was not listed by then."""
    time = SourceTime()
    source = source_of(time, 25)
    source.add_fault(fault)
    keys = {"source__page_size": PAGE_SIZE, "overlap_s": OVERLAP_S}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        mirror.clock = RightClock(time)
        # Something is always fresh, or the watermark lies far back in any case.
        add_models(source, 1, "fresh")
        await mirror.backfill()
        for number in range(8):
            if number == 4:
                source.clear_faults()
            time.advance(90)
            add_models(source, changes, f"new{number}-", updatedAt=spread(time.now, step_ms=-10))
            source.update_model("m00003", name=f"change {number}")
            done = await mirror.sync()

            assert done.complete
            assert [] == await mirror.differences(), f"round {number}"


@pytest.mark.parametrize("fault", ["clock-ahead-10m", "clock-behind-10m"])
async def test_a_date_that_is_ten_minutes_wrong_hides_no_change_that_shows_late(
    migrated_database_url: str, fault: str
) -> None:
    """P1: a ``Date`` that runs ahead must not call an instant settled that can gain rows yet."""
    time = SourceTime()
    source = source_of(time, 25)
    source.add_fault(fault)
    keys = {"source__page_size": PAGE_SIZE, "overlap_s": OVERLAP_S}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        mirror.clock = RightClock(time)
        await mirror.backfill()
        for number in range(6):
            if number == 4:
                source.clear_faults()
            time.advance(60)
            source.publish_later({"id": f"late{number}"}, after_s=OVERLAP_S - 60)
            time.advance(1)
            # It is this one that raises the watermark over the one that is held back.
            add_models(source, 1, f"prompt{number}")
            await mirror.sync()
            time.advance(30)
            await mirror.sync()
            time.advance(OVERLAP_S - 90)
            await mirror.sync()

            assert [] == await mirror.differences(), f"round {number}"


async def test_a_burst_of_more_than_a_page_is_read_again_for_the_overlap_and_not_for_ever(
    migrated_database_url: str,
) -> None:
    """P5: the watermark of a backlog that is old enough is asked after, like any other."""
    time = SourceTime()
    source = source_of(time, 25)
    keys = {"source__page_size": PAGE_SIZE, "overlap_s": OVERLAP_S}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        mirror.clock = RightClock(time)
        await mirror.backfill()
        time.advance(60)
        add_models(source, 35, "new", updatedAt=spread(time.now, step_ms=-10))
        await mirror.sync()
        time.advance(2 * OVERLAP_S)
        again = await mirror.sync()
        idle = await mirror.sync()

        assert again.requests > 1
        assert 1 == idle.requests


async def test_a_burst_after_a_backfill_costs_hardly_more_requests_than_to_read_it_in_order(
    migrated_database_url: str,
) -> None:
    """
    P7: a burst is denser than what follows it, so windows up to the ceiling come back empty.

    Read in order, each page brings nine models that the one before it did not have. The first page
    may not cut anything off, the second page one window, the third two: three requests more.
    """
    new = 25
    time = SourceTime()
    source = source_of(time, 55)
    keys = {"source__page_size": PAGE_SIZE, "overlap_s": OVERLAP_S}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        mirror.clock = RightClock(time)
        await mirror.backfill()
        time.advance(60)
        spaced = spread(time.now, step_ms=1000 // new)
        add_models(source, new, "new", createdAt=spaced, updatedAt=spaced)
        time.advance(60)
        done = await mirror.sync()

        assert done.complete
        assert [] == await mirror.differences()
        assert done.requests <= math.ceil(new / (PAGE_SIZE - 1)) + 3
