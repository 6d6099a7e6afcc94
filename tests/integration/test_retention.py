"""Retention: what is older than configured goes in pieces, is said first, and blocks nobody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support.hand_made import make_batch, make_model
from support.history import changes, contents_at
from support.mirror import Mirror, SourceTime, mirroring, new_source
from support.virtual_clock import VirtualClock

from syncer import retention
from syncer.crawl import StopSignal
from syncer.retention import INTERVAL_S, drop_for_ever, drop_old_changes
from syncer.store.effects import NoEffect
from syncer.store.history import HistoryStore

if TYPE_CHECKING:
    from syncer.runtime import Runtime

KEPT_DAYS = 30
MODELS = 20


async def filled(mirror: Mirror, *, old: int) -> None:
    """A backfilled mirror, of whose changes the first ones seem to be 40 days old."""
    await mirror.backfill()
    await mirror.observer.execute(
        "UPDATE scenario.model_changes SET committed_at = committed_at - interval '40 days'"
        " WHERE change_id IN (SELECT change_id FROM scenario.model_changes ORDER BY 1 LIMIT $1)",
        old,
    )


def mirror_of(url: str, **keys: object) -> Any:
    time = SourceTime()
    return mirroring(url, new_source(time, models=MODELS), time=time, **keys)


async def count(mirror: Mirror) -> Any:
    return await mirror.value("SELECT count(*) FROM scenario.model_changes")


async def test_changes_are_kept_for_ever_unless_it_is_said_otherwise(
    migrated_database_url: str,
) -> None:
    """``history.keep_days = 0``: nothing goes, however old."""
    async with mirror_of(migrated_database_url) as mirror:
        await filled(mirror, old=15)
        await mirror.sync()

        assert MODELS == await count(mirror)
        assert await mirror.value("SELECT kept_since FROM syncer.history") is None


async def test_a_sync_drops_what_is_older_and_says_since_when_it_is_kept(
    migrated_database_url: str,
) -> None:
    """Before that time ``models_at`` refuses; from it on it is right."""
    async with mirror_of(migrated_database_url, history__keep_days=KEPT_DAYS) as mirror:
        await filled(mirror, old=15)
        last_old = (await changes(mirror.observer))[14].change_id
        await mirror.sync()
        row = await mirror.observer.fetchrow("SELECT kept_since, dropped_id FROM syncer.history")
        now = await mirror.value("SELECT now()")

        assert MODELS - 15 == await count(mirror)
        assert row is not None
        assert last_old == row["dropped_id"]
        assert abs(now - row["kept_since"] - timedelta(days=KEPT_DAYS)) < timedelta(minutes=1)
        assert 15 == len(await contents_at(mirror.observer, row["kept_since"]))
        assert MODELS == len(await contents_at(mirror.observer, now))
        with pytest.raises(asyncpg.InvalidParameterValueError, match="is not known"):
            await contents_at(mirror.observer, row["kept_since"] - timedelta(seconds=1))
        said = [each for each in mirror.events if each["event"] == "history_dropped"]
        assert [(15, KEPT_DAYS)] == [(each["changes"], each["keep_days"]) for each in said]


async def test_with_nothing_that_old_nothing_is_written(migrated_database_url: str) -> None:
    """P5: a look at the history of an idle mirror costs no row."""
    async with mirror_of(migrated_database_url, history__keep_days=KEPT_DAYS) as mirror:
        await mirror.sync()
        before = await mirror.value("SELECT xmin::text FROM syncer.history")
        await mirror.sync()

        assert before == await mirror.value("SELECT xmin::text FROM syncer.history")
        assert await mirror.value("SELECT kept_since FROM syncer.history") is None


async def test_a_batch_is_bounded_and_a_stop_between_two_keeps_what_was_done(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still there is no longer promised; the next run goes on."""
    stop, sizes = StopSignal(), []
    drop = HistoryStore.drop

    async def drop_and_stop(self: HistoryStore, *arguments: int) -> tuple[int, int]:
        removed = await drop(self, *arguments)
        sizes.append(removed[0])
        if len(sizes) == 2:
            stop.set(retention.StoreError("enough"))
        return removed

    monkeypatch.setattr(HistoryStore, "drop", drop_and_stop)
    async with mirror_of(migrated_database_url, history__keep_days=KEPT_DAYS) as mirror:
        await filled(mirror, old=15)
        async with mirror.process() as runtime:
            assert 8 == await drop_old_changes(runtime, stop, batch_size=4)
            assert await mirror.value("SELECT kept_since IS NOT NULL FROM syncer.history")
            assert 7 == await drop_old_changes(runtime, StopSignal(), batch_size=4)

        assert [4, 4, 4, 3, 0] == sizes
        assert MODELS - 15 == await count(mirror)


async def test_several_processes_at_once_do_no_harm(migrated_database_url: str) -> None:
    """No lease is needed: what one has removed the other does not find."""
    async with mirror_of(migrated_database_url, history__keep_days=KEPT_DAYS) as mirror:
        await filled(mirror, old=15)
        async with mirror.process() as one, mirror.process() as other, asyncio.TaskGroup() as group:
            dropped = [
                group.create_task(drop_old_changes(each, StopSignal(), batch_size=2), name="drop")
                for each in (one, other)
            ]

        assert MODELS - 15 == await count(mirror)
        assert 15 == sum(task.result() for task in dropped)


async def test_the_merge_goes_on_while_old_changes_go(migrated_database_url: str) -> None:
    """No lock that a page needs: neither the turn to write changes nor a row."""
    async with (
        mirror_of(migrated_database_url, history__keep_days=KEPT_DAYS) as mirror,
        mirror.context() as context,
    ):
        await context.catalogs.register(context.name, context.settings.scope)
        first = make_batch(make_model("a"), sent=1)
        await context.pages.commit_page(first, NoEffect())
        await mirror.observer.execute(
            "UPDATE scenario.model_changes SET committed_at = committed_at - interval '40 days'"
        )
        async with mirror.observer.transaction():
            await mirror.observer.execute("DELETE FROM scenario.model_changes")
            await mirror.observer.execute("UPDATE syncer.history SET kept_since = now()")
            async with asyncio.timeout(5):
                again = make_batch(make_model("a", name="b"), make_model("c"), sent=2)
                await context.pages.commit_page(again, NoEffect())

        assert ["update", "insert"] == [each.operation for each in await changes(mirror.observer)]


async def test_the_daemon_looks_each_hour_and_a_database_that_is_away_ends_nothing(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention is the least of its duties."""
    clock, looks = VirtualClock(), []

    async def look(runtime: Runtime, _stop: StopSignal) -> int:
        looks.append(runtime.clock.monotonic())
        raise retention.StoreError("the database is away")

    monkeypatch.setattr(retention, "drop_old_changes", look)
    async with mirror_of(migrated_database_url) as mirror, mirror.process() as runtime:
        object.__setattr__(runtime, "clock", clock)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(drop_for_ever(runtime), name="drop")
            for _ in range(3):
                await clock.advance(INTERVAL_S)
            task.cancel()

        assert [0, INTERVAL_S, 2 * INTERVAL_S, 3 * INTERVAL_S] == looks
        assert 4 == sum(each["event"] == "database_unavailable" for each in mirror.events)
