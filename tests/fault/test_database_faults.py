"""Every way in which PostgreSQL fails a page, in backfill and in delta: nothing is torn or lost."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from support.faulty import PATIENT, change_more_than_a_page, lacking, small_mirror, torn
from support.mirror import RightClock
from support.postgres import THROW_AWAY, execute, migrate_url
from support.tcp_proxy import address_of, proxy_to, through
from support.trap import END_SESSION, REPORTED, arm, dally, disarm, report, times_sprung, trap

from syncer.clock import SystemClock
from syncer.embedded import embedded_postgres
from syncer.errors import ExitCode, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.mirror import Done, Mirror
    from support.tcp_proxy import TcpProxy

STEP_MS = 100
CYCLES = {"backfill": "^t", "delta": "^n"}
"""In each of them, the ids of a page that is not the first."""

DALLYING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'
"""
DALLYING_PID = DALLYING.replace("count(*)", "max(pid)")
SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'syncer%'
"""


async def catch_up(mirror: Mirror) -> None:
    """One run after which nothing is missing."""
    done = await mirror.sync()

    assert ExitCode.OK == done.exit_code
    assert [] == await mirror.differences()


@pytest.mark.parametrize("state", REPORTED)
async def test_what_the_server_reports_is_unavailable_while_it_lasts_and_then_caught_up_with(
    migrated_database_url: str, state: str
) -> None:
    """P1, P4, P8: exit 7 after the retry deadline; pages before it are kept, its own is not."""
    async with small_mirror(migrated_database_url, step_ms=STEP_MS) as mirror:
        for ids in CYCLES.values():
            lacked = await lacking(mirror)
            async with trap(mirror.observer, report(state), ids=ids):
                done = await mirror.sync()

                assert 1 < await times_sprung(mirror.observer)
            assert ExitCode.UNAVAILABLE == done.exit_code
            assert {REPORTED[state]} == {type(error) for error in done.catalog.errors}
            assert set() == await torn(mirror, lacked)
            assert set() < await lacking(mirror) < lacked
            await catch_up(mirror)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


async def test_what_the_server_reports_for_a_while_costs_the_cycle_nothing(
    migrated_database_url: str,
) -> None:
    """P1, P6: what is over within the retry deadline is not even an outcome."""
    async with small_mirror(migrated_database_url, step_ms=STEP_MS, **PATIENT) as mirror:
        for state in REPORTED:
            async with trap(mirror.observer, report(state), ids="", times=3):
                await catch_up(mirror)

                assert 3 < await times_sprung(mirror.observer), state
            change_more_than_a_page(mirror, step_ms=STEP_MS)


async def test_a_session_that_is_ended_in_the_middle_of_a_page_costs_no_row(
    migrated_database_url: str,
) -> None:
    """P4: the administrator ends it while rows are written; the page is written again, whole."""
    async with small_mirror(migrated_database_url, step_ms=STEP_MS, **PATIENT) as mirror:
        for ids in CYCLES.values():
            async with trap(mirror.observer, END_SESSION, ids=ids, times=2):
                await catch_up(mirror)

                assert 2 < await times_sprung(mirror.observer)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


@asynccontextmanager
async def reached_through_a_proxy(mirror: Mirror) -> AsyncIterator[TcpProxy]:
    url = mirror.database_url
    async with proxy_to(address_of(url)) as proxy:
        mirror.keys["SYNCER_DATABASE__URL"] = through(proxy, url)
        await proxy.restore()
        yield proxy


async def cut_while_a_page_is_written(mirror: Mirror, proxy: TcpProxy) -> None:
    while not await mirror.value(DALLYING):
        await asyncio.sleep(0)
    await proxy.cut()


async def until_nobody_is_connected(mirror: Mirror) -> None:
    """The server finds out by itself, but in its own time."""
    while await mirror.value(SESSIONS):
        await asyncio.sleep(0.01)


async def test_a_way_that_is_cut_in_the_middle_of_a_page_and_stays_so_is_exit_7(
    migrated_database_url: str,
) -> None:
    """P4, P8: nobody hears of the page, and nothing of it is stored."""
    async with (
        small_mirror(migrated_database_url, step_ms=STEP_MS) as mirror,
        reached_through_a_proxy(mirror) as proxy,
    ):
        for ids in CYCLES.values():
            lacked = await lacking(mirror)
            async with (
                trap(mirror.observer, dally(0.3), ids=ids, times=1),
                asyncio.TaskGroup() as group,
            ):
                group.create_task(cut_while_a_page_is_written(mirror, proxy))
                done = await mirror.sync()
                await until_nobody_is_connected(mirror)

            assert ExitCode.UNAVAILABLE == done.exit_code
            assert {StoreUnavailable} == {type(error) for error in done.catalog.errors}
            assert set() == await torn(mirror, lacked)
            assert set() < await lacking(mirror) < lacked
            await proxy.restore()
            await catch_up(mirror)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


async def test_a_way_that_is_cut_in_the_middle_of_a_page_and_mended_costs_the_cycle_nothing(
    migrated_database_url: str,
) -> None:
    """P1, P4: the same page goes round once more, beside what is left of its first writer."""

    async def cut_and_mend(mirror: Mirror, proxy: TcpProxy) -> None:
        await cut_while_a_page_is_written(mirror, proxy)
        await proxy.restore()

    async with (
        small_mirror(migrated_database_url, step_ms=STEP_MS, **PATIENT) as mirror,
        reached_through_a_proxy(mirror) as proxy,
    ):
        for ids in CYCLES.values():
            async with (
                trap(mirror.observer, dally(0.3), ids=ids, times=1),
                asyncio.TaskGroup() as group,
            ):
                group.create_task(cut_and_mend(mirror, proxy))
                await catch_up(mirror)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


async def refused_at_the_door(mirror: Mirror, saying: str) -> None:
    """A run that gets nowhere asks the source nothing."""
    asked = len(mirror.source.requests)
    with pytest.raises(StoreUnavailable, match=saying):
        raise_errors(await mirror.sync())

    assert asked == len(mirror.source.requests)


def raise_errors(done: Done) -> None:
    """As a command does: what ends a catalog counts like what ends the whole run."""
    assert ExitCode.UNAVAILABLE == done.exit_code
    for error in done.catalog.errors:
        raise error


async def test_a_database_that_is_absent_at_the_start_is_unavailable(
    migrated_database_url: str,
) -> None:
    """P8: nothing is asked of the source for a page that could not be kept."""
    async with (
        small_mirror(migrated_database_url, step_ms=STEP_MS) as mirror,
        reached_through_a_proxy(mirror) as proxy,
    ):
        for _ in CYCLES:
            await proxy.cut()
            await refused_at_the_door(mirror, "cannot be reached")
            await proxy.restore()
            await catch_up(mirror)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


@pytest.mark.parametrize(
    ("close", "open_again", "saying"),
    [
        (
            "SET default_transaction_read_only = on",
            "RESET default_transaction_read_only",
            "the database is read-only",
        ),
        (
            "ALLOW_CONNECTIONS false",
            "ALLOW_CONNECTIONS true",
            "not currently accepting connections",
        ),
    ],
    ids=["read-only", "no connections"],
)
async def test_a_database_that_is_closed_for_maintenance_is_waited_for(
    postgres_dsn: str, migrated_database_url: str, close: str, open_again: str, saying: str
) -> None:
    """P1, P8: an administrator's doing is exit 7 like any other absence, and no bug."""
    async with small_mirror(migrated_database_url, step_ms=STEP_MS) as mirror:
        name = await mirror.value("SELECT current_database()")
        for _ in CYCLES:
            await execute(postgres_dsn, f'ALTER DATABASE "{name}" {close}')
            await refused_at_the_door(mirror, saying)
            await execute(postgres_dsn, f'ALTER DATABASE "{name}" {open_again}')
            await catch_up(mirror)
            change_more_than_a_page(mirror, step_ms=STEP_MS)


async def test_a_table_that_somebody_has_locked_is_waited_for_within_limits(
    migrated_database_url: str,
) -> None:
    """P6: the server's own statement_timeout ends the wait, and the retry deadline the retries."""
    hasty = {"lease__ttl_s": 1, "limits__retry_deadline_s": 0.1}
    async with small_mirror(migrated_database_url, step_ms=STEP_MS) as mirror:
        lacked = await lacking(mirror)
        # Renewals each third of a second of this machine, not of a hasty one.
        clock, mirror.clock = mirror.clock, RightClock(mirror.time)
        async with mirror.observer.transaction():
            await mirror.observer.execute("LOCK TABLE scenario.models IN ACCESS EXCLUSIVE MODE")
            done = await mirror.sync(**hasty)
        mirror.clock = clock

        assert ExitCode.UNAVAILABLE == done.exit_code
        (error,) = done.catalog.errors
        assert "did not answer in time" in error.message
        assert set() == await torn(mirror, lacked)
        await catch_up(mirror)


async def crash(mirror: Mirror, _data_dir: Path) -> None:
    """One session dies, so the server ends all of them and recovers."""
    os.kill(await mirror.value(DALLYING_PID), signal.SIGKILL)


def postmasters(data_dir: Path) -> list[int]:
    """The server's process, while it runs."""
    files = data_dir.rglob("postmaster.pid")
    return [int(each.read_text(encoding="utf-8").split("\n", 1)[0]) for each in files]


async def restart(mirror: Mirror, data_dir: Path) -> None:
    """As an administrator does it: everybody is told to go, and let in again later."""
    del mirror
    for pid in postmasters(data_dir):
        os.kill(pid, signal.SIGINT)
    while postmasters(data_dir):
        await asyncio.sleep(0.01)
    async with embedded_postgres(data_dir, clock=SystemClock(), keep=True):
        pass


async def test_a_server_that_crashes_or_is_restarted_in_the_middle_of_a_page_is_waited_for(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """P1, P4: every session ends, none is let in for a while, and no row is torn."""
    # A path short enough for the socket to lie in it: elsewhere it would move with the restart.
    data_dir = tmp_path_factory.mktemp("pg")
    patient = {"limits__retry_deadline_s": 60_000, "limits__stall_after_s": 60_001}
    clock = SystemClock()
    # Commits are durable where a session dies, as on any server that somebody cares for.
    settings = THROW_AWAY | {"synchronous_commit": "on"}
    async with embedded_postgres(data_dir, clock=clock, settings=settings) as server:
        url = server.dsn
        await migrate_url(url)
        async with small_mirror(url, step_ms=STEP_MS, **patient) as mirror:
            for ids, strike in zip(CYCLES.values(), (crash, restart), strict=True):
                await arm(mirror.observer, dally(2), ids=ids, times=1)
                async with asyncio.TaskGroup() as group:
                    job = group.create_task(mirror.sync())
                    while not await mirror.value(DALLYING):
                        await asyncio.sleep(0)
                    await strike(mirror, data_dir)
                mirror.observer = await asyncpg.connect(url)

                assert ExitCode.OK == job.result().exit_code
                assert [] == await mirror.differences()
                await disarm(mirror.observer)
                change_more_than_a_page(mirror, step_ms=STEP_MS)
            await mirror.observer.close()
