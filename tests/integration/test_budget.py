"""P7 and P5: processes share one budget through a real PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support.crowd import fullest_window
from support.tcp_proxy import address_of, proxy_to, through

from syncer.api.limits import Limiter
from syncer.clock import SystemClock
from syncer.domain import Lane
from syncer.errors import StoreError, StoreUnavailable
from syncer.store.budget import BudgetLedger
from syncer.store.queries import load_queries
from syncer.tokens import Move, Terms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOURCE = "https://api.example/v1"
QUERIES = load_queries()
BLOCKED_S = 0.6
"""Longer than whoever waits needs to see what others gave back."""
STATE = """
    SELECT xmin::text AS row_version FROM syncer.budget
    UNION ALL (SELECT xmin::text FROM syncer.allowance ORDER BY holder)
"""


@pytest.fixture(name="url")
def url_fixture(migrated_database_url: str) -> str:
    return migrated_database_url


@pytest.fixture(name="admin")
async def open_admin(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


class Sharer:
    """One process's limiter, with a ledger and a connection of its own."""

    def __init__(self, url: str, name: str, limit: int, **terms: Any) -> None:
        patience_s = terms.pop("patience_s", 10.0)
        self.troubles: list[StoreError] = []
        self.sent_at: list[float] = []
        self.ledger = BudgetLedger(
            url=url, source=SOURCE, holder=name, statement_timeout_s=3.0, queries=QUERIES
        )
        self.limiter = Limiter(
            max_requests_per_minute=limit,
            max_concurrency=8,
            clock=SystemClock(),
            ledger=self.ledger,
            name=name,
            patience_s=patience_s,
            on_trouble=self.troubles.append,
            terms=Terms(limit, **terms),
        )

    async def send(self, lane: Lane = Lane.BACKFILL) -> None:
        async with self.limiter.slot(lane) as passage:
            self.sent_at.append(asyncio.get_running_loop().time())
            passage.answered()

    async def send_until_blocked(
        self, lane: Lane = Lane.BACKFILL, blocked_s: float = BLOCKED_S
    ) -> int:
        """As many requests as go at once."""
        before = len(self.sent_at)
        try:
            async with asyncio.timeout(blocked_s) as limit:
                while True:
                    await self.send(lane)
                    limit.reschedule(asyncio.get_running_loop().time() + blocked_s)
        except TimeoutError:
            return len(self.sent_at) - before

    @property
    def pid(self) -> int:
        assert self.ledger._session._connection is not None
        return self.ledger._session._connection.get_server_pid()


@asynccontextmanager
async def sharing(url: str, name: str, limit: int = 10, **terms: Any) -> AsyncIterator[Sharer]:
    sharer = Sharer(url, name, limit, **terms)
    try:
        yield sharer
        await sharer.limiter.leave()
    finally:
        await sharer.ledger.close()


async def kill(admin: Any, sharer: Sharer) -> None:
    """End its session, as its death would, and wait until it is gone."""
    assert await admin.fetchval("SELECT pg_terminate_backend($1, 10000)", sharer.pid)


async def held(admin: Any) -> dict[str, int]:
    rows = await admin.fetch("SELECT holder, held FROM syncer.allowance ORDER BY holder")
    return {row["holder"]: row["held"] for row in rows}


async def test_p7_two_processes_send_no_more_than_one_would(url: str) -> None:
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        for _ in range(7):
            await a.send()
        second = await b.send_until_blocked()
        first = await a.send_until_blocked()

        assert 10 == 7 + second + first
        assert second >= 1


async def test_p7_what_a_process_gives_back_at_its_end_is_granted_when_it_is_ripe(
    url: str, admin: Any
) -> None:
    async with sharing(url, "a") as a:
        for _ in range(7):
            await a.send()
    async with sharing(url, "b") as b:
        rest = await b.send_until_blocked()
        ripe_s = await admin.fetchval(
            "SELECT extract(epoch FROM max(t) - clock_timestamp())"
            " FROM syncer.budget, unnest(returned) AS t"
        )
        await admin.execute("UPDATE syncer.budget SET returned = '{}'")
        again = await b.send_until_blocked()

        assert (3, 7) == (rest, again)
        assert 55 < ripe_s <= 60.1
        assert {"b": 10} == await held(admin)


async def test_p7_what_a_killed_process_held_is_free_a_minute_after_its_death_was_noticed(
    url: str, admin: Any
) -> None:
    async with sharing(url, "b") as b:
        victim = Sharer(url, "victim", 10)
        await victim.send()
        await victim.send()
        await kill(admin, victim)
        at_once = await b.send_until_blocked()
        await admin.execute("UPDATE syncer.allowance SET dead_at = dead_at - interval '60 s'")
        a_minute_later = await b.send_until_blocked()
        await admin.execute("UPDATE syncer.allowance SET dead_at = dead_at - interval '10 s'")
        later = await b.send_until_blocked(blocked_s=2 * BLOCKED_S)

        assert (6, 0, 4) == (at_once, a_minute_later, later)
        assert {"b": 10} == await held(admin)


async def test_p7_a_process_that_lost_its_connection_keeps_what_it_held(
    url: str, admin: Any
) -> None:
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        await a.send()
        await kill(admin, a)
        assert 6 == await b.send_until_blocked()
        assert await admin.fetchval("SELECT dead_at IS NOT NULL FROM syncer.allowance LIMIT 1")
        assert 3 == await a.send_until_blocked()

        assert not await admin.fetchval(
            "SELECT count(*) FROM syncer.allowance WHERE dead_at < now()"
        )


async def test_p7_a_process_that_was_given_up_begins_with_nothing(url: str, admin: Any) -> None:
    """It was away for so long that others have what it held."""
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        await a.send()
        await kill(admin, a)
        assert 6 == await b.send_until_blocked()
        await admin.execute("UPDATE syncer.allowance SET dead_at = dead_at - interval '70 s'")
        assert 4 == await b.send_until_blocked(blocked_s=2 * BLOCKED_S)

        assert 0 == await a.send_until_blocked()


async def test_p7_a_429_of_one_pauses_and_slows_all_and_a_storm_halves_once(
    url: str, admin: Any
) -> None:
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        await a.send()
        await b.send()
        sent_at = asyncio.get_running_loop().time()
        a.limiter.pause(30.0, sent_at=sent_at)
        assert 0 == await a.send_until_blocked()
        b.limiter.pause(20.0, sent_at=sent_at)
        await b.limiter._share.agree(None)
        row = await admin.fetchrow("SELECT * FROM syncer.budget")

        assert (5, 5) == (a.limiter.allowance, b.limiter.allowance)
        assert 28 < b.limiter.pause_s <= 30
        assert 0 == await b.send_until_blocked()
        assert (5.0, 1) == (row["reduced_rate"], row["storms"])


async def test_p7_a_pause_is_seen_by_a_process_that_only_looks(url: str) -> None:
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        await b.send(Lane.POLL)
        a.limiter.pause(30.0)
        await a.limiter._keep()
        await asyncio.sleep(1.01)

        assert 0 == await b.send_until_blocked(Lane.POLL)
        assert 28 < b.limiter.pause_s <= 30


async def test_p5_whoever_holds_enough_looks_and_writes_nothing(url: str, admin: Any) -> None:
    """Tokens are used again and again, and the keeper has nothing to settle."""
    terms = {"reserve": 4, "window_s": 0.1}
    async with sharing(url, "a", limit=8, **terms) as a:
        await a.send(Lane.POLL)
        before = await admin.fetch(STATE)
        for _ in range(3):
            for _ in range(6):
                await a.send(Lane.POLL)
            await asyncio.sleep(0.4)
            await a.limiter._keep()
        await a.limiter._share.agree(None, keep=4)

        assert before == await admin.fetch(STATE)
        assert 19 == len(a.sent_at)


async def test_p7_more_processes_than_tokens_have_turns(url: str) -> None:
    limit = 2
    async with (
        sharing(url, "a", limit, window_s=0.2) as a,
        sharing(url, "b", limit, window_s=0.2) as b,
        sharing(url, "c", limit, window_s=0.2) as c,
    ):

        async def work(sharer: Sharer) -> None:
            while min(len(each.sent_at) for each in (a, b, c)) < 2:
                await sharer.send()

        async with asyncio.timeout(15), asyncio.TaskGroup() as keeping:
            keepers = [keeping.create_task(each.limiter.keep_forever()) for each in (a, b, c)]
            async with asyncio.TaskGroup() as group:
                for each in (a, b, c):
                    group.create_task(work(each))
            for keeper in keepers:
                keeper.cancel()

        assert all(len(each.sent_at) >= 2 for each in (a, b, c))


async def test_p7_three_processes_that_race_never_overfill_a_window(url: str) -> None:
    """A window of one second, so that many pass; arrivals are counted by one clock."""
    limit, window_s, length_s = 20, 1.0, 3.0
    async with (
        sharing(url, "a", limit, window_s=window_s) as a,
        sharing(url, "b", limit, window_s=window_s) as b,
        sharing(url, "c", limit, window_s=window_s) as c,
    ):
        end = asyncio.get_running_loop().time() + length_s

        async def work(sharer: Sharer) -> None:
            while asyncio.get_running_loop().time() < end:
                await sharer.send()

        async with asyncio.TaskGroup() as group:
            for each in (a, a, a, b, b, b, c, c, c):
                group.create_task(work(each))
        sent_at = sorted(a.sent_at + b.sent_at + c.sent_at)

        assert fullest_window([60.0 * at / window_s for at in sent_at]) <= limit
        # The margin of the clocks is a tenth of so short a window.
        assert len(sent_at) >= 0.7 * limit * length_s / window_s


async def test_p6_while_the_database_is_away_nothing_is_sent_and_the_wait_has_an_end(
    url: str,
) -> None:
    async with proxy_to(address_of(url)) as proxy:
        await proxy.restore()
        sharer = Sharer(through(proxy, url), "a", 10, patience_s=0.5)
        await sharer.send()
        await proxy.cut()
        await asyncio.sleep(1.01)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await sharer.send()
        await proxy.restore()
        await sharer.send()

        assert 2 == len(sharer.sent_at)
        assert 1 == len(sharer.troubles)
        await sharer.limiter.leave()
        await sharer.ledger.close()


async def test_a_move_from_an_older_version_is_refused_whole(url: str, admin: Any) -> None:
    async with sharing(url, "a") as a, sharing(url, "b") as b:
        old = await b.ledger.read(is_asking=True)
        await a.send()
        move = Move(old.version, 10, 0, 10, granted=True, returned_s=(5.0,), buried=("a",))

        assert not await b.ledger.write(move)
        assert {"a": 4} == await held(admin)
        assert [] == await admin.fetchval("SELECT returned FROM syncer.budget")


async def test_a_process_that_asks_nothing_opens_nothing(url: str, admin: Any) -> None:
    async with sharing(url, "a") as a:
        await a.limiter._keep()

        assert a.ledger._session._connection is None
    assert {} == await held(admin)
