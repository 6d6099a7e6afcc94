"""History: each transition of a model is told once, in the transaction that makes it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support import scenes
from support.hand_made import AT_MS, make_batch, make_model
from support.history import changes, contents_at, live_contents, untrue
from support.mirror import (
    Mirror,
    SourceTime,
    add_models,
    mirroring,
    new_source,
)
from support.sweeps import LONG_AGO, source_of, sweeping

from syncer.domain import Millis, SentOrder, to_datetime
from syncer.store.effects import NoEffect
from syncer.store.migrate import migrate
from syncer.store.queries import load_migrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from syncer.context import CatalogContext


@asynccontextmanager
async def written(url: str) -> AsyncIterator[tuple[Mirror, CatalogContext]]:
    """A registered catalog that pages made by hand are committed to."""
    async with mirroring(url) as mirror, mirror.context() as context:
        await context.catalogs.register(context.name, context.settings.scope)
        yield mirror, context


async def commit(context: CatalogContext, *models: Any, sent: int) -> None:
    await context.pages.commit_page(make_batch(*models, sent=sent), NoEffect())


async def told(mirror: Mirror) -> list[Any]:
    return [each.short for each in await changes(mirror.observer)]


async def test_each_transition_is_told_with_the_fields_that_differ(
    migrated_database_url: str,
) -> None:
    """Insert, update, remove, restore; insert and remove name no field."""
    async with written(migrated_database_url) as (mirror, context):
        await commit(context, make_model("b"), make_model("a"), sent=1)
        later = make_model("a", updated_ms=AT_MS + 1, name="new", tags=["t"])
        await commit(context, later, make_model("b"), sent=2)
        await context.sweeps.remove_deleted(["a", "b"], SentOrder(3))
        await commit(context, later, make_model("b", name="back"), sent=4)
        records = await changes(mirror.observer)

        assert [each.short for each in records] == [
            ("a", "insert", None),
            ("b", "insert", None),
            ("a", "update", ["name", "tags", "updatedAt"]),
            ("a", "remove", None),
            ("b", "remove", None),
            ("a", "restore", []),
            ("b", "restore", ["name"]),
        ]
        update, restore = records[2], records[6]
        assert update.before == {"name": "a", "updatedAt": "2026-09-21T14:13:20.000Z"}
        assert update.after == {
            "name": "new",
            "tags": ["t"],
            "updatedAt": "2026-09-21T14:13:20.001Z",
        }
        assert (restore.before, restore.after) == ({"name": "b"}, {"name": "back"})
        times = [each.source_updated_at for each in records]
        assert times == [to_datetime(AT_MS + more) for more in (0, 0, 1, 1, 0, 1, 0)]
        assert [] == list(untrue(records, await live_contents(mirror.observer)))


async def test_volatile_values_neither_make_a_change_nor_stand_in_one(
    migrated_database_url: str,
) -> None:
    """P5: what the source changes by itself is nobody's news."""
    signed = {"assetId": "x", "url": "https://cdn.example/1?Signature=s"}
    resigned = {"url": "https://cdn.example/2?Signature=t", "assetId": "x"}
    async with written(migrated_database_url) as (mirror, context):
        first = make_model("m", thumbnail=signed, trainingProgress={"progress": 1})
        await commit(context, first, sent=1)
        await commit(context, make_model("m", thumbnail=resigned, trainingProgress={}), sent=2)
        assert [("m", "insert", None)] == await told(mirror)
        changed = make_model("m", thumbnail=resigned | {"assetId": "y"}, trainingProgress={"a": 1})
        await commit(context, changed, sent=3)

        (_, update) = await changes(mirror.observer)
        assert (update.before, update.after) == (
            {"thumbnail": {"assetId": "x"}},
            {"thumbnail": {"assetId": "y"}},
        )


async def test_a_row_written_anew_with_the_same_content_has_not_changed(
    migrated_database_url: str,
) -> None:
    """A repair, or another rule of hashing, rewrites rows: nothing happened at the source."""
    async with written(migrated_database_url) as (mirror, context):
        await commit(context, make_model("m"), sent=1)
        at = Millis(AT_MS)
        await context.comparing.doubt(context.lease, {"m": (at, at)})
        await commit(context, make_model("m"), sent=2)

        assert [("m", "insert", None)] == await told(mirror)
        assert await mirror.value("SELECT sent_order FROM scenario.models") == 2


async def test_a_repair_tells_what_it_puts_right(migrated_database_url: str) -> None:
    """Whoever read the wrong value learns of the right one."""
    async with written(migrated_database_url) as (mirror, context):
        await commit(context, make_model("m"), sent=1)
        await mirror.value(
            "UPDATE scenario.models SET body = jsonb_set(body, '{name}', '\"bad\"') RETURNING 1"
        )
        at = Millis(AT_MS)
        await context.comparing.doubt(context.lease, {"m": (at, at)})
        await commit(context, make_model("m"), sent=2)

        assert ("m", "update", ["name"]) == (await told(mirror))[-1]


async def test_a_model_that_was_set_back_is_an_update(migrated_database_url: str) -> None:
    """A rewound row moves to an older version; that is news like any other."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(60)
        source.update_model("m00005", name="newer")
        await mirror.sync()
        time.advance(3600)
        source.update_model("m00001", name="something else moves the watermark on")
        await mirror.sync()
        source.update_model("m00005", name="older", updatedAt=LONG_AGO)
        await mirror.sweep()
        records = await changes(mirror.observer)

        fields = ["name", "updatedAt"]
        assert [
            ("m00005", "update", fields),
            ("m00001", "update", fields),
            ("m00005", "update", fields),
        ] == [each.short for each in records[40:]]
        assert records[-1].source_updated_at == LONG_AGO
        assert [] == list(untrue(records, await live_contents(mirror.observer)))


async def test_a_page_without_a_change_takes_no_turn_and_tells_nobody(
    migrated_database_url: str,
) -> None:
    """P5: not even the lock of the change records is asked for."""
    async with written(migrated_database_url) as (mirror, context):
        await commit(context, make_model("m"), sent=1)
        before = await mirror.value(
            "SELECT last_value FROM pg_sequences WHERE sequencename = 'model_changes_change_id_seq'"
        )
        async with mirror.observer.transaction():
            await mirror.observer.execute("SELECT pg_advisory_xact_lock(1937337958, 0)")
            async with asyncio.timeout(5):
                await commit(context, make_model("m"), sent=2)
                await context.sweeps.remove_deleted(["nobody"], SentOrder(3))
        assert before == await mirror.value(
            "SELECT last_value FROM pg_sequences WHERE sequencename = 'model_changes_change_id_seq'"
        )


async def test_a_commit_with_changes_notifies_once_with_the_last_change(
    migrated_database_url: str,
) -> None:
    """``NOTIFY scenario_model_changes`` comes when the changes can be read."""
    heard: list[str] = []
    got_one = asyncio.Event()

    def hear(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        heard.append(payload)
        got_one.set()

    async with written(migrated_database_url) as (mirror, context):
        await mirror.observer.add_listener("scenario_model_changes", hear)
        await commit(context, make_model("a"), make_model("b"), sent=1)
        await commit(context, make_model("a"), sent=2)
        await context.sweeps.remove_deleted(["a"], SentOrder(3))
        while len(heard) < 2:
            got_one.clear()
            async with asyncio.timeout(5):
                await got_one.wait()

        ids = [each.change_id for each in await changes(mirror.observer)]
        assert heard == [str(ids[1]), str(ids[2])]


async def test_a_clock_that_was_set_back_dates_no_change_before_another(
    migrated_database_url: str,
) -> None:
    """``committed_at`` never decreases with the change id."""
    async with written(migrated_database_url) as (mirror, context):
        await commit(context, make_model("a"), sent=1)
        ahead = await mirror.value(
            "UPDATE scenario.model_changes SET committed_at = now() + interval '1 hour'"
            " RETURNING committed_at"
        )
        await commit(context, make_model("b"), sent=2)
        await context.sweeps.remove_deleted(["a"], SentOrder(3))

        assert [ahead] * 3 == [each.committed_at for each in await changes(mirror.observer)]


async def test_a_sweep_tells_of_each_model_that_it_removes(migrated_database_url: str) -> None:
    """However many: they are told by one statement, in the order of their ids."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 40, "m")
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill()
        for number in range(30):
            source.remove_model(f"m{number:05}")
        time.advance(7200)
        await mirror.sweep(allow_removals=30)
        records = await changes(mirror.observer)

        removed = [each for each in records if each.operation == "remove"]
        assert [f"m{number:05}" for number in range(30)] == [each.key[1] for each in removed]
        assert len({each.committed_at for each in removed}) == 1
        assert [] == list(untrue(records, await live_contents(mirror.observer)))


async def test_listing_everything_again_tells_nothing_anew(migrated_database_url: str) -> None:
    """``backfill --restart`` keeps rows and history, and so does a second sweep."""
    time = SourceTime()
    source = new_source(time, models=60, volatile=True)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill()
        before = await told(mirror)
        time.advance(7200)
        await mirror.refill()
        await mirror.sweep()

        assert len(before) == 60
        assert before == await told(mirror)


@pytest.mark.parametrize("concurrency", [1, 6])
async def test_a_source_that_never_rests_is_told_truthfully(
    migrated_database_url: str, concurrency: int
) -> None:
    """Overlapping pages, moving rows, removals and returns: replayed, they are the mirror."""
    time = SourceTime()
    source = new_source(time, models=120)
    keys = {"source__page_size": 7, "source__max_concurrency": concurrency}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        rng = random.Random(concurrency)  # noqa: S311 - the same each time
        editor = scenes.Editor(source, time, rng, busy_answers=80)
        source.on_request = editor.edit
        await mirror.sync()
        await mirror.sync()
        await mirror.sweep(allow_removals=200)
        source.on_request = None
        time.advance(7200)
        await mirror.sweep(allow_removals=200)
        for model_id in sorted(editor.removed)[::2]:
            source.restore_model(model_id, touch=True)
        await mirror.settle()
        records = await changes(mirror.observer)

        assert {"insert", "update", "remove", "restore"} == {each.operation for each in records}
        assert [] == list(untrue(records, await live_contents(mirror.observer)))


BEFORE_HISTORY = 10
"""The last migration without change records."""

OLD_ROWS = """
INSERT INTO scenario.models
    (catalog, id, created_at, updated_at, body, content_hash, sent_order, first_seen_at,
     removed_at, removed_reason)
SELECT 'public', 'm' || n, '2026-01-01Z', timestamptz '2026-02-01Z' + n * interval '1 s', '{}', '',
    n, timestamptz '2026-03-01Z' - n * interval '1 s',
    CASE WHEN n > $1 THEN timestamptz '2026-04-01Z' END, CASE WHEN n > $1 THEN 'absent' END
FROM generate_series(1, $2::integer) AS n
"""


async def upgraded(connection: Any, *, live: int, rows: int) -> None:
    """A mirror of the build before, brought up to date."""
    await migrate(connection, migrations=load_migrations()[:BEFORE_HISTORY])
    await connection.execute("INSERT INTO syncer.catalog (catalog, scope) VALUES ('public', '{}')")
    await connection.execute(OLD_ROWS, live, rows)
    await migrate(connection)


async def test_the_history_of_what_is_mirrored_already_begins_with_the_migration(
    database_url: str,
) -> None:
    """An insert for each live model, the first seen first; before that nothing is known."""
    connection = await asyncpg.connect(database_url)
    try:
        await upgraded(connection, live=5, rows=8)
        records = await changes(connection)
        kept = await connection.fetchval("SELECT kept_since FROM syncer.history")
        now = await contents_at(connection, kept)

        assert [(f"m{n}", "insert", None) for n in (5, 4, 3, 2, 1)] == [
            each.short for each in records
        ]
        assert {kept} == {each.committed_at for each in records}
        assert [5, 4, 3, 2, 1] == [each.source_updated_at.second for each in records]
        assert {f"m{n}" for n in range(1, 6)} == {model_id for _, model_id in now}
        with pytest.raises(asyncpg.InvalidParameterValueError, match="is not known"):
            await contents_at(connection, kept - timedelta(microseconds=1))
    finally:
        await connection.close()


@pytest.mark.parametrize(("rows", "is_known"), [(0, True), (3, False)])
async def test_only_an_empty_mirror_knows_everything_from_its_beginning(
    database_url: str, rows: int, *, is_known: bool
) -> None:
    """A tombstone was live once, and nobody wrote down until when."""
    connection = await asyncpg.connect(database_url)
    try:
        await upgraded(connection, live=0, rows=rows)

        assert is_known == await connection.fetchval(
            "SELECT kept_since IS NULL FROM syncer.history"
        )
        assert [] == await changes(connection)
    finally:
        await connection.close()
