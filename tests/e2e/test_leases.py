"""One lease and several real processes: frozen, killed, standing by, asked for at the same time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
from support.command import POLL_S, Place, Running
from support.frozen import (
    freeze,
    models_by_epoch,
    thaw,
    until_frozen,
    written,
)
from support.postgres import execute
from support.serving import Gate, Serve
from support.statement_cutter import cutter_before
from support.stored import assert_mirrors, fetch, fetch_value, lease_holder
from support.tcp_proxy import through

from syncer.simulator import SimulatedSource

SLOW = '[[catalog]]\nname = "public"\npoll_interval_s = 3600\n'
"""One poll after the backfill, and then nothing that could be taken for somebody else's write."""

TWO_CATALOGS = """
[[catalog]]
name = "everything"
poll_interval_s = 3600
[[catalog]]
name = "custom"
types = ["custom"]
poll_interval_s = 3600
"""

HELD_UP = """
    CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END';
    CREATE TRIGGER hold_up AFTER INSERT ON scenario.models
        FOR EACH STATEMENT EXECUTE FUNCTION public.hold_up()
"""
"""A page stands in the middle of its transaction for as long as somebody has lock 42."""

WAITING = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND objid = 42 AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
OUTLAST_THIS_TEST = """
    UPDATE syncer.lease SET expires_at = expires_at + interval '1 hour' WHERE epoch = 1
"""
STUCK = """
    SELECT a.xact_start, lease.expires_at
    FROM pg_stat_activity AS a, syncer.lease
    WHERE a.datname = current_database() AND a.wait_event = 'advisory'
"""
MODELS = 60
PAGE_SIZE = 10
PAGES_BEFORE = 2


Frozen = Callable[[Place, SimulatedSource, str, str], AbstractAsyncContextManager[Running]]


async def committed_pages(url: str) -> int:
    pages: int = await fetch_value(url, "SELECT coalesce(sum(pages), 0) FROM syncer.checkpoint")
    return pages


async def is_waiting(url: str) -> bool:
    """Whether a page stands before lock 42."""
    return bool(await fetch_value(url, WAITING))


async def expect_it_stands_by_and_has_written_nothing(
    thawed: Running, url: str, before: list[dict[str, object]]
) -> None:
    """The end of a frozen holder's right to write."""
    await thawed.until_event("lease_lost")
    await thawed.until_event("standby_started")

    assert before == await written(url)
    assert "Traceback" not in thawed.stderr


async def test_a_holder_frozen_between_two_pages_is_succeeded_and_writes_nothing_when_thawed(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P3: its answer is there when it wakes up, and the fence is what that meets."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=1, source__page_size=PAGE_SIZE, source__max_concurrency=1)
    async with serve(models=MODELS) as source, place.start("run") as first:
        gate = Gate(source, after=PAGES_BEFORE)

        async def is_between_pages() -> bool:
            return bool(gate.waiting) and await committed_pages(url) == PAGES_BEFORE

        await first.until(is_between_pages, "two pages and a request that waits")
        await freeze(first)
        source.on_request = None
        async with place.start("run") as second:
            await second.until_poll()
            source.add_model(name="for the frozen one to bring")
            before = await written(url)
            gate.open()
            thaw(first)

            await expect_it_stands_by_and_has_written_nothing(first, url, before)
            assert [1, 2] == list(await models_by_epoch(url))
            assert (await first.stop()).code == 0
            assert (await second.stop()).code == 0


def idle_in_its_page(
    place: Place, source: SimulatedSource, url: str, command: str
) -> AbstractAsyncContextManager[Running]:
    """Frozen between two statements of a page."""
    return frozen_at("copy done", place, source, url, command)


def copying_in_its_page(
    place: Place, source: SimulatedSource, url: str, command: str
) -> AbstractAsyncContextManager[Running]:
    """Frozen in the middle of COPY, where the server waits for the client and for nothing else."""
    return frozen_at("query COPY", place, source, url, command)


@asynccontextmanager
async def frozen_at(
    statement: str, place: Place, source: SimulatedSource, url: str, command: str
) -> AsyncIterator[Running]:
    """Frozen when it has sent one statement of a page: it never sends the next one."""
    async with cutter_before(url) as cutter:
        place.set(database__url=through(cutter, url))
        async with place.start(command) as running:

            def arm(_: dict[str, str]) -> None:
                if len(source.requests) == PAGES_BEFORE:
                    stop = partial(running.send, signal.SIGSTOP)
                    cutter.arm(1, begin=statement, blow=stop, passes_on=True)

            source.on_request = arm
            await until_frozen(running)
            source.on_request = None
            # What comes next goes by another way: the cutter is the frozen one's alone.
            place.set(database__url=url)
            yield running


@asynccontextmanager
async def waiting_in_its_page(
    place: Place, source: SimulatedSource, url: str, command: str
) -> AsyncIterator[Running]:
    """Frozen while a statement of its page waits at the server for somebody else."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(HELD_UP)

        async def hold(_: dict[str, str]) -> None:
            if len(source.requests) == PAGES_BEFORE:
                await connection.execute("SELECT pg_advisory_lock(42)")

        source.on_request = hold
        async with place.start(command) as running:
            await running.until(lambda: is_waiting(url), "a page that waits")
            await freeze(running)
            source.on_request = None
            async with asyncio.TaskGroup() as group:
                # For its whole life, until the server has ended it.
                group.create_task(let_go_when_nobody_waits(connection))
                yield running
    finally:
        await connection.close()


async def let_go_when_nobody_waits(connection: Any) -> None:
    while await connection.fetchval(WAITING):
        await asyncio.sleep(POLL_S)
    await connection.execute("SELECT pg_advisory_unlock(42)")


@pytest.mark.parametrize(
    "frozen",
    [idle_in_its_page, waiting_in_its_page, copying_in_its_page],
    ids=lambda each: each.__name__,
)
async def test_a_holder_frozen_inside_a_page_loses_the_page_and_writes_nothing_when_thawed(
    place: Place, serve: Serve, migrated_database_url: str, frozen: Frozen
) -> None:
    """P4: the server ends the transaction within the time to live, so that a successor gets in."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=1, source__page_size=PAGE_SIZE, source__max_concurrency=1)
    async with serve(models=MODELS) as source, frozen(place, source, url, "run") as first:
        claimed = await committed_pages(url)
        async with place.start("run") as second:
            await second.until_poll()
            source.add_model(name="for the frozen one to bring")
            before = await written(url)
            thaw(first)

            await expect_it_stands_by_and_has_written_nothing(first, url, before)
            # What the first had committed stays; the page that it stood in is the second's.
            by_epoch = await models_by_epoch(url)
            assert claimed in {PAGES_BEFORE - 1, PAGES_BEFORE}
            assert {1: stored_by(claimed), 2: MODELS - stored_by(claimed)} == by_epoch
            assert (await first.stop()).code == 0
            assert (await second.stop()).code == 0


def stored_by(pages: int) -> int:
    """How many models so many pages hold: each begins with the last one of the page before."""
    return pages * (PAGE_SIZE - 1) + 1


async def test_a_backfill_frozen_inside_a_page_and_succeeded_ends_with_4(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P8: it has not done what it was asked to do, and says who does it now."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=1, source__page_size=PAGE_SIZE, source__max_concurrency=1)
    async with (
        serve(models=MODELS) as source,
        idle_in_its_page(place, source, url, "backfill") as first,
        place.start("run") as second,
    ):
        await second.until_poll()
        before = await written(url)
        thaw(first)
        ended = await first.end()

        assert "public" in ended.failed_with(4)
        assert before == await written(url)
        assert await lease_holder(url) is not None
        await assert_mirrors(url, source)


async def test_the_second_of_two_works_on_the_catalog_that_is_free_and_stands_by_for_the_other(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P9: a lease is a catalog's, not a process's."""
    url = migrated_database_url
    place.write_config(TWO_CATALOGS)
    place.set(lease__ttl_s=1)
    async with serve(models=MODELS) as source:
        gate = Gate(source)
        async with place.start("backfill", "--catalog", "everything") as first:
            await first.until(lambda: gate.waiting, "a request that waits")
            source.on_request = None
            async with place.start("run") as second:
                await second.until_poll(catalog="custom")
                await second.until_event("standby_started", catalog="everything")
                holders = {name: await lease_holder(url, name) for name in ("everything", "custom")}

                assert str(first.process.pid) in str(holders["everything"])
                assert str(second.process.pid) in str(holders["custom"])
                assert second.count("cycle_started", catalog="everything") == 0
                assert await models_by_epoch(url) != {}
                gate.open()
                assert (await first.end()).code == 0
                await second.until_poll(catalog="everything")
                assert str(second.process.pid) in str(await lease_holder(url, "everything"))
                assert (await second.stop()).code == 0
        await assert_mirrors(url, source, "everything")


async def test_who_stands_by_takes_over_from_a_killed_holder_long_before_its_lease_runs_out(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P1: a death is seen by the session that is gone, not by the clock."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=1)
    async with serve(models=MODELS) as source, place.start("run") as first:
        await first.until_poll()
        async with place.start("run") as second:
            await second.until_event("standby_started")
            source.add_model(name="for the second")
            await first.stop(signal.SIGKILL)
            # As if the lease were a long one: who is dead renews nothing.
            await execute(url, OUTLAST_THIS_TEST)
            await second.until_poll()

            assert {1: MODELS, 2: 1} == await models_by_epoch(url)
            ended = await second.stop()
    (taken,) = [line for line in ended.events if line["event"] == "lease_acquired"]

    assert ended.code == 0
    assert taken["taken_from"].endswith(f":{first.process.pid}")


async def test_commands_that_meet_a_daemon_end_with_4_and_name_it(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P8: what somebody else does is not done by us."""
    place.write_config(SLOW)
    async with serve(models=MODELS), place.start("run") as daemon:
        await daemon.until_poll()
        before = await written(migrated_database_url)
        async with place.start("sync") as sync, place.start("backfill") as backfill:
            ended = [await sync.end(), await backfill.end()]

        for each in ended:
            said = each.failed_with(4)
            assert f":{daemon.process.pid}" in said
            assert "public" in said
        assert before == await written(migrated_database_url)
        assert daemon.is_alive


async def test_renewals_go_on_while_a_page_is_stuck_in_its_transaction(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P6: a slow page does not cost the lease."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=3)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(HELD_UP)
        await connection.execute("SELECT pg_advisory_lock(42)")
        async with serve(models=MODELS) as source, place.start("run") as daemon:
            await daemon.until(lambda: is_waiting(url), "a page that waits")
            # The same transaction on both sides of a renewal; one that timed out is tried again.
            first: dict[Any, Any] = {}

            async def was_renewed_meanwhile() -> bool:
                rows = await fetch(url, STUCK)
                return any(
                    first.setdefault(row["xact_start"], row["expires_at"]) < row["expires_at"]
                    for row in rows
                )

            await daemon.until(was_renewed_meanwhile, "a renewal while a page is stuck")
            await connection.execute("SELECT pg_advisory_unlock(42)")
            await daemon.until_poll()

            assert daemon.count("lease_lost") == 0
            assert {1: MODELS} == await models_by_epoch(url)
            assert (await daemon.stop()).code == 0
            await assert_mirrors(url, source)
    finally:
        await connection.close()
