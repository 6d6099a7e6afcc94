"""The fence and the keeper's own statements: what two holders could do to each other."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support import planted
from support.hand_made import CATALOG, make_batch, make_model
from support.mirror import Mirror, mirroring
from support.statement_cutter import LEASES, StatementCutter, Where, cutter_before
from support.tcp_proxy import through

from syncer.clock import SystemClock
from syncer.errors import LeaseHeld, LeaseLost, StoreUnavailable, SyncerError
from syncer.store.effects import NoEffect
from syncer.store.lease import Lease, LeaseKeeper
from syncer.store.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

EXPIRE = "UPDATE syncer.lease SET expires_at = clock_timestamp() - interval '1 s' RETURNING epoch"
LAST_STATEMENT = 40
SHORT_S = 0.6


async def written_by_the_predecessor(url: str) -> tuple[list[str], SyncerError | None]:
    """Two processes, the first of which is succeeded with a page in hand that it then stores.

    Returns:
        what of that page is in the mirror, and what the first was told.
    """
    told: SyncerError | None = None
    async with mirroring(url) as mirror, mirror.context() as first:
        await mirror.value(EXPIRE)
        async with mirror.context() as second:
            await second.pages.commit_page(make_batch(make_model("new", name="theirs")), NoEffect())
            try:
                await first.pages.commit_page(make_batch(make_model("old")), NoEffect())
            except LeaseLost as error:
                told = error
        rows = await mirror.observer.fetch("SELECT id FROM scenario.models WHERE id <> 'new'")
        return [row["id"] for row in rows], told


async def test_who_was_succeeded_cannot_store_the_page_in_its_hand(
    migrated_database_url: str,
) -> None:
    """P3: two holders never both write, whatever either of them believes."""
    stored, told = await written_by_the_predecessor(migrated_database_url)

    assert [] == stored
    assert isinstance(told, LeaseLost)


async def test_without_the_fence_it_can(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3: nothing but the fence stands between a predecessor and the tables."""
    planted.no_fence(monkeypatch)

    stored, told = await written_by_the_predecessor(migrated_database_url)

    assert (["old"], None) == (stored, told)


def keeper_of(url: str, holder: str, *, ttl_s: float = 3600) -> LeaseKeeper:
    return LeaseKeeper(
        url=url, holder=holder, ttl_s=ttl_s, clock=SystemClock(), queries=load_queries()
    )


@asynccontextmanager
async def released(mirror: Mirror) -> AsyncIterator[None]:
    """A catalog whose lease was held before, and is free."""
    async with keeper_of(mirror.database_url, "somebody") as somebody:
        await somebody.acquire(CATALOG)
        await somebody.release(CATALOG)
    yield


async def take_and_give_back(keeper: LeaseKeeper) -> None:
    await keeper.acquire(CATALOG)
    await keeper.release(CATALOG)


async def take_and_renew(keeper: LeaseKeeper) -> None:
    await keeper.acquire(CATALOG)
    await keeper.renew()


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("work", [take_and_give_back, take_and_renew], ids=lambda w: w.__name__)
async def test_a_keeper_that_is_killed_at_any_statement_blocks_nobody(
    migrated_database_url: str, where: Where, work: Callable[[LeaseKeeper], Awaitable[None]]
) -> None:
    """P6: with an hour to live left, its lease is free as soon as its session is gone."""
    struck = []
    async with (
        mirroring(migrated_database_url) as mirror,
        cutter_before(migrated_database_url, application=LEASES) as cutter,
    ):
        for number in range(1, LAST_STATEMENT):
            async with released(mirror):
                cutter.arm(number, where)
                await die_at(cutter, through(cutter, migrated_database_url), work)
                cutter.disarm()
                if cutter.struck is None:
                    break
                struck.append(cutter.struck)
                await until_sessions_ended(mirror)
                async with keeper_of(migrated_database_url, "next") as following:
                    await following.acquire(CATALOG)
        left = await mirror.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    assert 0 == left
    assert any("take_lease" in each for each in struck)
    assert any("query COMMIT" in each for each in struck)
    assert any("mark_leases" in each for each in struck)
    assert any("renew_leases" in each for each in struck)


async def die_at(
    cutter: StatementCutter, url: str, work: Callable[[LeaseKeeper], Awaitable[None]]
) -> None:
    """Work until the blow; nothing of what comes after it reaches the server."""
    keeper = keeper_of(url, "victim")
    try:
        async with keeper:
            await work(keeper)
    except SyncerError:
        assert cutter.struck is not None


async def until_sessions_ended(mirror: Mirror) -> None:
    """The server has noticed that they are gone."""
    alive = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'syncer lease'"
    )
    while await mirror.value(alive):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "statement", ["parse /* syncer take_lease", "execute /* syncer take_lease"]
)
async def test_who_stands_still_in_the_middle_of_a_takeover_holds_nobody_up_for_long(
    migrated_database_url: str, statement: str
) -> None:
    """P6: the row that it has locked against everybody is free soon, be it between two statements,
    where the server ends it, or in the middle of one, where whoever comes next does.
    """
    url = migrated_database_url
    async with mirroring(url) as mirror, keeper_of(url, "first") as first:
        await first.acquire(CATALOG)
        await mirror.value(EXPIRE)
        async with cutter_before(url, application=LEASES) as cutter:
            stands_still = asyncio.Event()
            cutter.arm(1, begin=statement, blow=stands_still.set)
            frozen = keeper_of(through(cutter, url), "frozen", ttl_s=SHORT_S)
            async with frozen, asyncio.TaskGroup() as group:
                takeover = group.create_task(outcome_of(frozen.acquire(CATALOG)))
                await stands_still.wait()
                async with keeper_of(url, "next", ttl_s=SHORT_S) as following:
                    lease = await acquire_patiently(following)

            assert ("next", 2) == (lease.holder, lease.epoch)
            assert isinstance(takeover.result(), StoreUnavailable)


async def acquire_patiently(keeper: LeaseKeeper) -> Lease:
    """As who stands by: again and again. Each try waits for the row, none for ever."""
    while True:
        with contextlib.suppress(LeaseHeld):
            return await keeper.acquire(CATALOG)


async def outcome_of(waited: Awaitable[object]) -> SyncerError | None:
    try:
        await waited
    except SyncerError as error:
        return error
    return None
