"""The change feed: whoever remembers the last ``change_id`` misses none, and waits for nobody."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support.hand_made import make_batch, make_model
from support.history import changes, live_contents, untrue
from support.mirror import Mirror, mirroring

from syncer.context import CatalogContext
from syncer.store import pages
from syncer.store.effects import Merged, NoEffect
from syncer.store.pool import Connection
from syncer.store.queries import Queries, load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOLD_BEFORE_COMMIT = """
CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
CREATE TRIGGER hold AFTER INSERT ON scenario.model_changes FOR EACH ROW WHEN (NEW.id = 'slow')
EXECUTE FUNCTION public.hold();
"""
"""The page of ``slow`` stands with its change ids drawn for as long as somebody has lock 42."""

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
PAGES, WRITERS = 60, 6


@dataclass(slots=True)
class Consumer:
    """Remembers the last change it read, and nothing else."""

    observer: Any
    last: int = 0
    read: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    async def look(self) -> list[str]:
        """What is new."""
        records = await self.observer.fetch(
            "SELECT change_id, id FROM scenario.model_changes WHERE change_id > $1"
            " ORDER BY change_id",
            self.last,
        )
        new = [record["id"] for record in records]
        self.ids += [record["change_id"] for record in records]
        self.last = self.ids[-1] if self.ids else 0
        self.read += new
        return new


@dataclass(frozen=True, slots=True)
class Held(NoEffect):
    """A page whose rows are written, and that goes on when it is told to."""

    written: asyncio.Event
    go_on: asyncio.Event

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """Wait with a transaction id, and without change ids."""
        del connection, queries, merged
        self.written.set()
        await self.go_on.wait()
        return False


@asynccontextmanager
async def feeding(url: str) -> AsyncIterator[tuple[Mirror, CatalogContext, Consumer]]:
    async with mirroring(url) as mirror, mirror.context() as context:
        await context.catalogs.register(context.name, context.settings.scope)
        yield mirror, context, Consumer(mirror.observer)


async def commit(context: CatalogContext, *names: str, sent: int = 1) -> None:
    models = (make_model(name) for name in names)
    await context.pages.commit_page(make_batch(*models, sent=sent), NoEffect())


async def until_waiting(mirror: Mirror, sessions: int = 1) -> None:
    """Until so many sessions wait for an advisory lock."""
    async with asyncio.timeout(10):
        while await mirror.value(WAITING) < sessions:
            await asyncio.sleep(0)


async def test_a_transaction_that_began_earlier_and_commits_later_is_not_missed(
    migrated_database_url: str,
) -> None:
    """Its xid is the smaller, its change ids are the greater; the other is seen at once."""
    written, go_on = asyncio.Event(), asyncio.Event()
    async with feeding(migrated_database_url) as (mirror, context, consumer):
        async with asyncio.TaskGroup() as group:
            early = make_batch(make_model("early"), sent=1)
            group.create_task(context.pages.commit_page(early, Held(written, go_on)), name="early")
            await written.wait()
            await commit(context, "late")
            assert ["late"] == await consumer.look()
            go_on.set()

        assert ["early"] == await consumer.look()
        xids = await mirror.observer.fetch(
            "SELECT id, xmin::text::bigint AS xid FROM scenario.model_changes ORDER BY change_id"
        )
        assert ["late", "early"] == [record["id"] for record in xids]
        assert xids[0]["xid"] > xids[1]["xid"]


async def test_change_ids_that_were_drawn_first_become_visible_first(
    migrated_database_url: str,
) -> None:
    """Who has drawn ids and not committed is waited for, by whoever would draw greater ones."""
    async with feeding(migrated_database_url) as (mirror, context, consumer):
        assert [] == await missed(mirror, context, consumer)
        assert ["slow", "quick"] == consumer.read


async def test_without_the_turn_a_consumer_would_miss_a_change(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is what it hangs on; where this fails, it need not be taken."""
    statements = {name: load_queries()[name] for name in load_queries()}
    monkeypatch.setattr(
        pages,
        "insert_changes",
        _without_turn(Queries(statements | {"lock_changes": "SELECT 1"}), pages.insert_changes),
    )
    async with feeding(migrated_database_url) as (mirror, context, consumer):
        assert ["slow"] == await missed(mirror, context, consumer, waiting=1)


def _without_turn(queries: Queries, insert: Any) -> Any:
    async def insert_at_once(connection: Any, _queries: Any, *arguments: Any) -> None:
        await insert(connection, queries, *arguments)

    return insert_at_once


async def missed(
    mirror: Mirror, context: CatalogContext, consumer: Consumer, *, waiting: int = 2
) -> list[str]:
    """A slow page has drawn its ids when a quick one comes; what the consumer never hears of."""
    await mirror.observer.execute(HOLD_BEFORE_COMMIT)
    await mirror.observer.execute("SELECT pg_advisory_lock(42)")
    async with asyncio.TaskGroup() as group:
        group.create_task(commit(context, "slow"), name="slow")
        await until_waiting(mirror)
        quick = group.create_task(commit(context, "quick"), name="quick")
        if waiting > 1:
            await until_waiting(mirror, waiting)
            assert [] == await consumer.look()
        else:
            await quick
            await consumer.look()
        await mirror.observer.execute("SELECT pg_advisory_unlock(42)")
    await consumer.look()
    told = [each.key[1] for each in await changes(mirror.observer)]
    return [name for name in told if name not in consumer.read]


async def test_a_write_that_is_left_open_hides_no_change(
    migrated_database_url: str, database_url: str
) -> None:
    """Neither in this database nor in another one of the cluster, which share transaction ids."""
    async with feeding(migrated_database_url) as (_, context, consumer):
        here = await asyncpg.connect(migrated_database_url)
        elsewhere = await asyncpg.connect(database_url)
        try:
            for idle in (here, elsewhere):
                await idle.execute("BEGIN; CREATE TABLE public.left_open (a integer)")
            await commit(context, "m")

            assert ["m"] == await consumer.look()
            await context.sweeps.remove_deleted(["m"], make_batch(sent=2).sent_order)
            assert ["m"] == await consumer.look()
        finally:
            await here.close()
            await elsewhere.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_consumer_of_many_pages_at_once_reads_each_change_once_and_in_order(
    migrated_database_url: str, seed: int
) -> None:
    """Overlapping pages of several writers, removals too, and a consumer that never rests."""
    rng = random.Random(seed)  # noqa: S311 - the same each time
    async with feeding(migrated_database_url) as (mirror, context, consumer):
        left = list(range(1, PAGES + 1))
        watching = await asyncpg.connect(migrated_database_url)
        consumer.observer = watching

        async def write() -> None:
            while left:
                sent = left.pop(0)
                names = rng.sample([f"m{number}" for number in range(12)], 4)
                if sent % 5 == 0:
                    order = make_batch(sent=sent).sent_order
                    await context.sweeps.remove_deleted(names, order)
                    continue
                models = [make_model(name, updated_ms=1_790_000_000_000 + sent) for name in names]
                await context.pages.commit_page(make_batch(*models, sent=sent), NoEffect())

        async def consume() -> None:
            while True:
                await consumer.look()

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(consume(), name="consumer")
            async with asyncio.TaskGroup() as writing:
                for number in range(WRITERS):
                    writing.create_task(write(), name=f"writer {number}")
            reading.cancel()
        consumer.observer = mirror.observer
        await consumer.look()
        await watching.close()
        told = await changes(mirror.observer)

        assert [each.change_id for each in told] == consumer.ids
        assert [] == list(untrue(told, await live_contents(mirror.observer)))
