"""The lease and its fence, with several real connections and processes."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from syncer.clock import SystemClock
from syncer.errors import LeaseHeld, LeaseLost, StoreUnavailable, SyncerError
from syncer.store.lease import Lease, LeaseKeeper, fence, read_leases
from syncer.store.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIGRATION = Path(__file__).resolve().parents[2] / "sql/migrations/0002_create_lease.sql"
QUERIES = load_queries()
KEY = 1937337955

HOLD_FOREVER = """
import asyncio, sys
from syncer.clock import SystemClock
from syncer.store.lease import LeaseKeeper
from syncer.store.queries import load_queries

async def main(url):
    keeper = LeaseKeeper(
        url=url, holder="victim", ttl_s=3600, clock=SystemClock(), queries=load_queries()
    )
    async with keeper:
        await keeper.acquire("public")
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


class SteppingClock(SystemClock):
    """Sleeps end when the test says so; records how long each was to be."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self._asked = asyncio.Event()
        self._go = asyncio.Semaphore(0)

    async def sleep(self, delay_s: float) -> None:
        self.asked_s.append(delay_s)
        self._asked.set()
        await self._go.acquire()

    async def step(self) -> None:
        """Let one sleep end, and come back when the sleeper sleeps again."""
        await self.until_asleep()
        self._asked.clear()
        self._go.release()
        await self.until_asleep()

    async def until_asleep(self) -> None:
        await self._asked.wait()


@pytest.fixture(name="url")
async def database_with_lease_table(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE SCHEMA syncer")
    await connection.execute(MIGRATION.read_text())
    await connection.close()
    return database_url


@pytest.fixture(name="admin")
async def open_admin(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture(name="writer")
async def open_writer(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


def keeper_of(url: str, holder: str = "one", **changes: Any) -> LeaseKeeper:
    options: dict[str, Any] = {"ttl_s": 3600, "clock": SystemClock(), "queries": QUERIES}
    return LeaseKeeper(url=url, holder=holder, **(options | changes))


async def expire(admin: Any) -> None:
    await admin.execute(
        "UPDATE syncer.lease SET expires_at = clock_timestamp() - interval '1 s'"
        " WHERE holder IS NOT NULL"
    )


async def kill(admin: Any, keeper: LeaseKeeper) -> None:
    """Cut the keeper's connection at the server, and wait until its session is gone."""
    assert keeper._session._connection is not None
    pid = keeper._session._connection.get_server_pid()
    assert await admin.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)


async def until_blocked(admin: Any, pid: int) -> None:
    """Return when that session waits for a lock. Polls the server, not the clock."""
    blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0"
    while not await admin.fetchval(blocked, pid):
        await asyncio.sleep(0)


async def expiry(admin: Any, catalog: str = "public") -> Any:
    return await admin.fetchval("SELECT expires_at FROM syncer.lease WHERE catalog = $1", catalog)


@asynccontextmanager
async def page_in_flight(connection: Any, lease: Lease) -> AsyncIterator[None]:
    async with connection.transaction():
        await fence(connection, lease, QUERIES)
        yield


# --- acquire and release ------------------------------------------------------------------------


async def test_the_first_holder_starts_at_epoch_one(url: str) -> None:
    async with keeper_of(url) as keeper:
        lease = await keeper.acquire("public")

        assert lease == Lease(catalog="public", holder="one", epoch=1)
        assert dict(keeper.held) == {"public": lease}
        assert await keeper.acquire("public") == lease


async def test_a_held_lease_is_refused_with_holder_and_expiry(url: str, admin: Any) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        until = await expiry(admin)

        with pytest.raises(LeaseHeld, match=f"public is held by one until {until:%Y-%m-%dT%H:%M}"):
            await two.acquire("public")

        assert dict(two.held) == {}
        assert await expiry(admin) == until


async def test_a_released_lease_is_free_at_once_under_a_new_epoch(url: str, admin: Any) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        await one.release("public")

        (row,) = await read_leases(admin, QUERIES)
        assert (row.holder, row.expires_at, row.expired) == (None, None, False)
        assert (await two.acquire("public")).epoch == 2
        assert dict(one.held) == {}


async def test_releasing_what_is_not_held_touches_nothing(url: str, admin: Any) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        await two.release("public")

        (row,) = await read_leases(admin, QUERIES)
        assert row.holder == "one"


async def test_releasing_a_lease_that_was_taken_over_leaves_the_successor_alone(
    url: str, admin: Any
) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        await expire(admin)
        await two.acquire("public")
        await one.release("public")

        (row,) = await read_leases(admin, QUERIES)
        assert (row.holder, row.epoch) == ("two", 2)


async def test_all_leases_are_released_together(url: str, admin: Any) -> None:
    async with keeper_of(url) as keeper:
        await keeper.acquire("public")
        await keeper.acquire("private")
        await keeper.release_all()

        assert [row.holder for row in await read_leases(admin, QUERIES)] == [None, None]
        assert (
            await admin.fetchval(
                "SELECT count(*) FROM pg_locks WHERE classid = $1 "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                KEY,
            )
            == 0
        )


async def test_catalogs_are_leased_independently(url: str) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")

        assert (await two.acquire("private")).epoch == 1


@pytest.mark.parametrize("before", ["never held", "released", "expired"])
async def test_of_many_that_acquire_at_once_exactly_one_wins(
    url: str, admin: Any, before: str
) -> None:
    keepers = [keeper_of(url, f"k{n}") for n in range(6)]
    predecessor = keeper_of(url, "predecessor")
    if before != "never held":
        await predecessor.acquire("public")
        await (predecessor.release("public") if before == "released" else expire(admin))

    async def try_to_acquire(keeper: LeaseKeeper) -> Lease | None:
        try:
            return await keeper.acquire("public")
        except LeaseHeld:
            return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(try_to_acquire(keeper)) for keeper in keepers]

    (won,) = [lease for task in tasks if (lease := task.result())]
    (row,) = await read_leases(admin, QUERIES)
    assert (row.holder, row.epoch) == (won.holder, won.epoch)
    await fence(admin, won, QUERIES)
    for keeper in [*keepers, predecessor]:
        await keeper.__aexit__(None, None, None)


# --- takeover -----------------------------------------------------------------------------------


async def test_an_expired_lease_is_taken_over_although_its_holder_lives(
    url: str, admin: Any
) -> None:
    async with keeper_of(url, "frozen") as frozen, keeper_of(url, "two") as two:
        old = await frozen.acquire("public")
        await expire(admin)
        (row,) = await read_leases(admin, QUERIES)
        assert row.expired

        new = await two.acquire("public")

        assert (new.holder, new.epoch) == ("two", old.epoch + 1)


async def test_a_frozen_holder_whose_connection_lives_is_not_succeeded_early(url: str) -> None:
    """The victim of a long garbage collection or a debugger; only the expiry frees its lease."""
    async with keeper_of(url, "two") as two, victim_of(url) as process:
        process.send_signal(signal.SIGSTOP)

        with pytest.raises(LeaseHeld, match="held by victim"):
            await two.acquire("public")


async def test_the_successor_of_a_frozen_holder_is_protected_like_anybody(
    url: str, admin: Any
) -> None:
    """When the frozen predecessor dies at last, its successor must not be taken for dead."""
    one, two, three = (keeper_of(url, name) for name in ("one", "two", "three"))
    async with one, two, three:
        await one.acquire("public")
        await expire(admin)
        await two.acquire("public")
        await kill(admin, one)

        with pytest.raises(LeaseHeld, match="held by two"):
            await three.acquire("public")


@asynccontextmanager
async def victim_of(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that holds the lease until it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_FOREVER, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_lease_of_a_killed_process_is_free_at_once(url: str, admin: Any) -> None:
    async with victim_of(url) as process:
        until = await expiry(admin)
    assert process.returncode == -signal.SIGKILL
    # Returns as soon as the server has noticed; with the wrong key it would return before.
    await admin.execute(
        "SELECT pg_advisory_xact_lock($1, syncer.lease_key('public', 1))", KEY, timeout=10
    )

    async with keeper_of(url, "two") as two:
        lease = await two.acquire("public")

    assert (lease.holder, lease.epoch) == ("two", 2)
    assert until > await admin.fetchval("SELECT clock_timestamp() + interval '50 min'")


async def test_a_takeover_waits_for_the_page_in_flight(url: str, admin: Any, writer: Any) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        old = await one.acquire("public")
        await expire(admin)
        assert two._session._connection is not None

        async with asyncio.TaskGroup() as group, page_in_flight(writer, old):
            takeover = group.create_task(two.acquire("public"))
            await until_blocked(admin, two._session._connection.get_server_pid())

            assert not takeover.done()

        assert takeover.result().epoch == old.epoch + 1


async def test_a_page_that_stays_in_flight_keeps_the_lease_and_the_successors_connection(
    url: str, admin: Any, writer: Any
) -> None:
    """The successor may hold other leases, which its connection proves to be alive."""
    async with keeper_of(url, "one") as one, keeper_of(url, "two", ttl_s=0.3) as two:
        old = await one.acquire("public")
        await expire(admin)
        before = two._session._connection

        async with page_in_flight(writer, old):
            with pytest.raises(LeaseHeld, match="held by one"):
                await two.acquire("public")

        assert two._session._connection is before
        assert (await two.acquire("public")).epoch == 2


async def test_standing_by_does_not_wait_for_pages(url: str, writer: Any) -> None:
    """A process that asks every few seconds must not queue up behind the holder's pages."""
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        lease = await one.acquire("public")

        async with page_in_flight(writer, lease), asyncio.timeout(5):
            with pytest.raises(LeaseHeld):
                await two.acquire("public")


# --- fence --------------------------------------------------------------------------------------


async def test_a_stale_epoch_does_not_pass_the_fence(url: str, admin: Any, writer: Any) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        old = await one.acquire("public")
        await expire(admin)
        new = await two.acquire("public")

        with pytest.raises(LeaseLost, match="catalog public is no longer ours: epoch 1 is over"):
            await fence(writer, old, QUERIES)
        await fence(writer, new, QUERIES)
        with pytest.raises(LeaseLost):
            await fence(writer, replace(new, epoch=3), QUERIES)


async def test_a_page_that_meets_a_takeover_is_fenced_when_the_takeover_commits(
    url: str, admin: Any, writer: Any
) -> None:
    """The fence waits for a takeover under way and then sees the new epoch."""
    async with keeper_of(url, "one") as one:
        lease = await one.acquire("public")
        observer = await asyncpg.connect(url)
        async with asyncio.TaskGroup() as group, admin.transaction():
            await admin.fetch(QUERIES["lock_lease"], "public")
            page = group.create_task(outcome_of(fence(writer, lease, QUERIES)))
            await until_blocked(observer, writer.get_server_pid())
            await admin.execute("UPDATE syncer.lease SET epoch = epoch + 1")
        await observer.close()

    assert isinstance(page.result(), LeaseLost)


async def outcome_of(waited: Any) -> SyncerError | None:
    try:
        await waited
    except SyncerError as error:
        return error
    return None


async def test_a_released_lease_does_not_pass_the_fence(url: str, writer: Any) -> None:
    async with keeper_of(url) as keeper:
        lease = await keeper.acquire("public")
        await keeper.release("public")

        with pytest.raises(LeaseLost):
            await fence(writer, lease, QUERIES)


async def test_two_holders_never_both_commit(url: str, admin: Any, writer: Any) -> None:
    """The old holder's transaction began in time, and loses all it wrote when it comes too late."""
    await admin.execute("CREATE TABLE public.written (epoch bigint)")
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        old = await one.acquire("public")
        await expire(admin)
        await two.acquire("public")

        with pytest.raises(LeaseLost):
            await write_page(writer, old)
        await write_page(writer, two.held["public"])

    assert await admin.fetch("SELECT epoch FROM public.written") == [(2,)]


async def write_page(connection: Any, lease: Lease) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO public.written VALUES ($1)", lease.epoch)
        await fence(connection, lease, QUERIES)


# --- renewal ------------------------------------------------------------------------------------


async def test_renewal_moves_the_expiry_and_nothing_else(url: str, admin: Any) -> None:
    async with keeper_of(url) as keeper:
        await keeper.acquire("public")
        await expire(admin)
        before = await admin.fetchrow("SELECT * FROM syncer.lease")
        await keeper.renew()
        after = await admin.fetchrow("SELECT * FROM syncer.lease")

    assert after["expires_at"] > before["expires_at"]
    assert {**before, "expires_at": None} == {**after, "expires_at": None}


async def test_renewal_does_not_wait_for_a_page_in_flight(
    url: str, admin: Any, writer: Any
) -> None:
    async with keeper_of(url) as keeper:
        lease = await keeper.acquire("public")
        before = await expiry(admin)

        async with page_in_flight(writer, lease), asyncio.timeout(5):
            await keeper.renew()

            assert await expiry(admin) > before


async def test_renewal_does_not_wait_for_a_takeover_that_waits_for_a_page(
    url: str, admin: Any, writer: Any
) -> None:
    """And it wins: the successor looks at the expiry again after its wait."""
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        lease = await one.acquire("public")
        await expire(admin)
        assert two._session._connection is not None

        async with asyncio.TaskGroup() as group, page_in_flight(writer, lease):
            takeover = group.create_task(outcome_of(two.acquire("public")))
            await until_blocked(admin, two._session._connection.get_server_pid())
            async with asyncio.timeout(5):
                await one.renew()

        assert isinstance(takeover.result(), LeaseHeld)
        await fence(writer, lease, QUERIES)


async def test_a_lease_found_under_another_epoch_is_dropped_and_reported_once(
    url: str, admin: Any
) -> None:
    lost: list[str] = []
    async with keeper_of(url, "one", on_lost=lost.append) as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        await one.acquire("private")
        await admin.execute("UPDATE syncer.lease SET expires_at = now() WHERE catalog = 'public'")
        await two.acquire("public")
        await one.renew()
        await one.renew()

        assert lost == ["public"]
        assert list(one.held) == ["private"]
        assert await expiry(admin, "private") > await admin.fetchval("SELECT now()")


async def test_renewals_come_three_times_in_the_time_to_live(url: str, admin: Any) -> None:
    clock = SteppingClock()
    async with keeper_of(url, ttl_s=30, clock=clock) as keeper, asyncio.TaskGroup() as group:
        await keeper.acquire("public")
        task = group.create_task(keeper.renew_forever())
        await clock.until_asleep()
        for _ in range(2):
            before = await expiry(admin)
            await clock.step()

            assert await expiry(admin) > before
        assert clock.asked_s == [10, 10, 10]
        task.cancel()


async def test_a_broken_connection_is_replaced_and_the_lease_shown_alive_again(
    url: str, admin: Any
) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        lease = await one.acquire("public")
        await kill(admin, one)
        # The first may find the connection broken, or already know that it is.
        await outcome_of(one.renew())
        await one.renew()

        assert dict(one.held) == {"public": lease}
        with pytest.raises(LeaseHeld):
            await two.acquire("public")


async def test_whatever_replaces_the_connection_shows_all_leases_alive_again(
    url: str, admin: Any
) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        await one.acquire("public")
        await kill(admin, one)
        await outcome_of(one.acquire("private"))
        await one.acquire("private")

        with pytest.raises(LeaseHeld, match="held by one"):
            await two.acquire("public")


async def test_a_holder_that_was_cut_off_and_succeeded_learns_it_when_it_returns(
    url: str, admin: Any, writer: Any
) -> None:
    lost: list[str] = []
    async with keeper_of(url, "one", on_lost=lost.append) as one, keeper_of(url, "two") as two:
        old = await one.acquire("public")
        await kill(admin, one)
        new = await two.acquire("public")
        with pytest.raises(LeaseLost):
            await fence(writer, old, QUERIES)
        # The first may find the connection broken, or already know that it is.
        await outcome_of(one.renew())
        await one.renew()

        assert lost == ["public"]
        assert new.epoch == 2
        await kill(admin, two)
        assert (await one.acquire("public")).epoch == 3


async def test_an_outage_is_waited_out_with_growing_delays_below_the_time_to_live(
    url: str, admin: Any
) -> None:
    clock = SteppingClock()
    troubles: list[SyncerError] = []
    keeper = keeper_of(url, ttl_s=60, clock=clock, on_trouble=troubles.append)
    async with keeper, asyncio.TaskGroup() as group:
        await keeper.acquire("public")
        task = group.create_task(keeper.renew_forever())
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            keeper._session._url = (
                f"postgresql://nobody@127.0.0.1:{reserved.getsockname()[1]}/nothing"
            )
            await kill(admin, keeper)
            for _ in range(6):
                await clock.step()
        assert clock.asked_s == [20, 1, 2, 4, 8, 10, 10]
        assert len(troubles) == 6
        assert all(isinstance(error, StoreUnavailable) for error in troubles)

        await expire(admin)
        keeper._session._url = url
        await clock.step()

        assert clock.asked_s[-1] == 20
        assert await expiry(admin) > await admin.fetchval("SELECT now()")
        assert list(keeper.held) == ["public"]
        task.cancel()


async def test_an_earlier_session_the_server_still_believes_in_does_not_cost_the_lease(
    url: str, admin: Any
) -> None:
    """A cut cable: the server keeps the old session, and its lock, until its own keepalive."""
    one, two = keeper_of(url, "one"), keeper_of(url, "two")
    async with one, two:
        lease = await one.acquire("public")
        old_session, one._session._connection = one._session._connection, None
        await one.renew()
        assert not one._marked
        assert old_session is not None
        await old_session.close()
        await one.renew()

        assert one._marked == {lease}
        with pytest.raises(LeaseHeld):
            await two.acquire("public")


async def test_leaving_without_a_release_lets_a_successor_in_at_once(url: str) -> None:
    async with keeper_of(url, "one") as one:
        await one.acquire("public")

    async with keeper_of(url, "two") as two:
        assert (await two.acquire("public")).epoch == 2


async def test_a_cancelled_acquire_leaves_nothing_that_blocks_anybody(
    url: str, admin: Any, writer: Any
) -> None:
    async with keeper_of(url, "one") as one, keeper_of(url, "two") as two:
        old = await one.acquire("public")
        await expire(admin)
        assert two._session._connection is not None
        async with page_in_flight(writer, old), asyncio.TaskGroup() as group:
            takeover = group.create_task(two.acquire("public"))
            await until_blocked(admin, two._session._connection.get_server_pid())
            takeover.cancel()

        await one.renew()
        assert list(one.held) == ["public"]
        with pytest.raises(LeaseHeld, match="held by one"):
            await two.acquire("public")
