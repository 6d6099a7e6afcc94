"""A follower of the changes hears of them at once, looks by itself too, and takes each once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest
import structlog
from support.changes import drop_changes, insert_changes
from support.command import until
from support.postgres import execute

from syncer.clock import SystemClock
from syncer.config import load_settings
from syncer.errors import SchemaMismatch
from syncer.following import BATCH, Follower, Receiver, Wanted
from syncer.store.following import Change, read_changes
from syncer.store.pool import Connection, open_connection
from syncer.store.queries import load_queries

NEVER_S = 3600.0
OFTEN_S = 0.05


@dataclass(slots=True)
class Taker:
    """Takes changes, at the pace that the test lets it."""

    taken: list[int] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, change: Change) -> None:
        await self.may_go_on.wait()
        self.taken.append(change.change_id)


def make_follower(
    url: str, taker: Taker, *, fallback_s: float, after: int = 0, is_followed: bool = True
) -> Follower:
    return Follower(
        load_settings(None, {}),
        url,
        wanted=Wanted(after=after, is_followed=is_followed),
        receiver=Receiver(taker.take, lambda: None),
        clock=SystemClock(),
        rng=random.Random(1),  # noqa: S311 - spreads waits
        fallback_s=fallback_s,
    )


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        try:
            yield
        finally:
            task.cancel()


@pytest.fixture(name="taker")
def taker_fixture() -> Taker:
    taker = Taker()
    taker.may_go_on.set()
    return taker


async def test_a_notification_is_enough(migrated_database_url: str, taker: Taker) -> None:
    """What is committed after the first reading comes although nobody looks by the clock."""
    inserted = await insert_changes(migrated_database_url)
    async with following(make_follower(migrated_database_url, taker, fallback_s=NEVER_S)):
        await until(lambda: taker.taken == inserted, "what was there")
        inserted += await insert_changes(migrated_database_url, 2)
        await until(lambda: taker.taken == inserted, "what came")


async def test_a_change_without_a_notification_is_found_all_the_same(
    migrated_database_url: str, taker: Taker
) -> None:
    inserted = await insert_changes(migrated_database_url, notify=False)
    async with following(make_follower(migrated_database_url, taker, fallback_s=OFTEN_S)):
        await until(lambda: taker.taken == inserted, "what was there")
        inserted += await insert_changes(migrated_database_url, 2, notify=False)
        await until(lambda: taker.taken == inserted, "what came")


async def test_a_change_that_was_not_taken_is_not_passed(migrated_database_url: str) -> None:
    """At least once: where taking breaks off, the position is that of the last one taken."""
    inserted = await insert_changes(migrated_database_url, 5)
    taker = Taker()

    async def take(change: Change) -> None:
        if change.change_id == inserted[3]:
            raise RuntimeError("broken off")
        taker.taken.append(change.change_id)

    follower = Follower(
        load_settings(None, {}),
        migrated_database_url,
        wanted=Wanted(),
        receiver=Receiver(take, lambda: None),
        clock=SystemClock(),
        rng=random.Random(1),  # noqa: S311 - spreads waits
    )
    with pytest.raises(RuntimeError, match="broken off"):
        await follower.run()

    assert inserted[:3] == taker.taken
    assert inserted[2] == follower.position


async def test_a_slow_reader_is_told_when_retention_overtakes_it(
    migrated_database_url: str,
) -> None:
    inserted = await insert_changes(migrated_database_url, 2 * BATCH)
    taker = Taker()
    follower = make_follower(migrated_database_url, taker, fallback_s=NEVER_S, is_followed=False)
    with structlog.testing.capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.run())
            await until(lambda: _is_reading(migrated_database_url), "the first batch")
            await drop_changes(migrated_database_url, up_to=inserted[BATCH + 10])
            taker.may_go_on.set()

    assert inserted[:BATCH] + inserted[BATCH + 11 :] == taker.taken
    assert ["changes_expired"] == [line["event"] for line in logs]


async def test_a_batch_is_bounded_by_its_bytes_and_a_large_change_comes_alone(
    migrated_database_url: str,
) -> None:
    """P6: a reader holds a few large changes, not two hundred of them; and none is left out."""
    inserted = await insert_changes(migrated_database_url, 9)
    await execute(
        migrated_database_url,
        "UPDATE scenario.model_changes SET before = to_jsonb(noise) FROM (SELECT"  # noqa: S608
        " string_agg(md5(n::text), '') AS noise FROM generate_series(1, 5000) AS n) AS n"
        f" WHERE change_id IN ({inserted[3]}, {inserted[4]})",
    )
    queries, batches, after = load_queries(), [], 0
    async with connected(migrated_database_url) as connection:
        while changes := await read_changes(
            connection, queries, after=after, limit=4, limit_bytes=2_000
        ):
            batches.append([change.change_id for change in changes])
            after = batches[-1][-1]

    assert [inserted[:3], [inserted[3]], [inserted[4]], inserted[5:]] == batches


async def test_a_schema_that_is_not_there_yet_is_refused(database_url: str, taker: Taker) -> None:
    with pytest.raises(SchemaMismatch, match="the database is empty"):
        await make_follower(database_url, taker, fallback_s=NEVER_S).run()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await open_connection(
        url, statement_timeout_s=10, idle_in_transaction_timeout_s=10, application_name="test"
    )
    try:
        yield connection
    finally:
        await connection.close()


async def _is_reading(url: str) -> bool:
    """Whether a follower has asked for changes and waits for whoever takes them."""
    connection = await asyncpg.connect(url)
    try:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'syncer changes' AND state = 'idle'"
                " AND query LIKE '%change_id > $1%'"
            )
        )
    finally:
        await connection.close()
