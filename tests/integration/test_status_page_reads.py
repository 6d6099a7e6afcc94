"""What the status page reads beside the status document, from a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from html import escape
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from support import postgres
from support.mirror import SourceTime, mirroring, new_source
from support.page_scenes import database_away, idle

from syncer.errors import StoreUnavailable
from syncer.status import build_status
from syncer.store.pool import Pool, open_pool
from syncer.store.queries import load_queries
from syncer.store.status import read_status
from syncer.web.page import (
    ModelCount,
    PageInput,
    page_headers,
    page_routes,
    read_extras,
    render_page,
)
from syncer.web.page import extras as questions

QUERIES = load_queries()

MODEL = """
INSERT INTO scenario.models
    (catalog, id, name, type, created_at, updated_at, body, content_hash, sent_order,
     first_seen_at, changed_at, removed_at, removed_reason)
VALUES ($1, $2, $3, 'custom', $4, $4, $5, '\\x00', 1, $6, $7, $8,
    CASE WHEN $8::timestamptz IS NOT NULL THEN 'absent' END)
"""


@pytest.fixture(name="pool")
async def pool_fixture(migrated_database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(
        migrated_database_url,
        size=2,
        statement_timeout_s=20,
        idle_in_transaction_timeout_s=20,
        application_name="status page test",
    )
    yield pool
    await pool.close()


@pytest.fixture(name="connection")
async def connection_fixture(migrated_database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(migrated_database_url)
    await connection.execute(
        "INSERT INTO syncer.catalog (catalog, scope, retired_at)"
        " VALUES ('public', '{}', NULL), ('ours', '{}', NULL), ('gone', '{}', now())"
    )
    yield connection
    await connection.close()


async def add_model(connection: Any, key: str, at: datetime, **more: Any) -> None:
    """One model that the source changed at that time; new unless said otherwise."""
    seen = more.get("seen", at)
    await connection.execute(
        MODEL,
        more.get("catalog", "public"),
        key,
        more.get("name", f"model {key}"),
        at,
        more.get("body", "{}"),
        seen,
        more.get("changed", seen),
        more.get("removed"),
    )


async def hour_of_the_server(connection: Any) -> datetime:
    now: datetime = await connection.fetchval("SELECT date_trunc('hour', now(), 'UTC')")
    return now.astimezone(UTC)


async def test_an_empty_mirror_has_nothing_to_show(pool: Pool) -> None:
    found = await read_extras(pool, QUERIES)

    assert (found.cycles, found.changes, found.models_over_time) == ((), (), ())
    assert len(found.changes_per_hour) == 48
    assert {models for _, models in found.changes_per_hour} == {0}
    assert (found.changes_cut_at, found.sampled_share) == (None, 1.0)


async def test_recent_changes_are_the_newest_at_the_source_and_say_what_happened(
    pool: Pool, connection: Any
) -> None:
    hour = await hour_of_the_server(connection)
    url = "https://cdn.cloud.scenario.com/thumbnails/a"
    await add_model(connection, "new", hour, body=f'{{"thumbnail": {{"url": "{url}"}}}}')
    await add_model(connection, "changed", hour - timedelta(hours=1), changed=hour)
    left = {"seen": hour - timedelta(days=3), "removed": hour - timedelta(minutes=30)}
    await add_model(connection, "left", hour - timedelta(days=9), catalog="ours", **left)
    await add_model(connection, "hidden", hour + timedelta(hours=1), catalog="gone")
    found = await read_extras(pool, QUERIES)

    assert [(each.catalog, each.id, each.what) for each in found.changes] == [
        ("public", "new", "new"),
        ("ours", "left", "removed"),
        ("public", "changed", "updated"),
    ]
    assert found.changes[1].changed_at == left["removed"]
    assert [each.thumbnail_url for each in found.changes] == [url, None, None]


async def test_a_body_of_another_shape_has_no_thumbnail(pool: Pool, connection: Any) -> None:
    hour = await hour_of_the_server(connection)
    for key, body in (
        ("a", "[]"),
        ("b", '{"thumbnail": 7}'),
        ("c", '{"thumbnail": {"url": null}}'),
    ):
        await add_model(connection, key, hour, body=body)
    found = await read_extras(pool, QUERIES)

    assert [each.thumbnail_url for each in found.changes] == [None] * 3


async def test_recent_changes_stay_few(pool: Pool, connection: Any) -> None:
    hour = await hour_of_the_server(connection)
    for number in range(30):
        catalog = "public" if number % 2 else "ours"
        await add_model(
            connection, f"m{number:02}", hour - timedelta(minutes=number), catalog=catalog
        )
    found = await read_extras(pool, QUERIES)

    assert [each.id for each in found.changes] == [f"m{number:02}" for number in range(12)]


async def test_changes_are_counted_by_hour_of_the_source(pool: Pool, connection: Any) -> None:
    hour = await hour_of_the_server(connection)
    for key, hours in (("a", 0), ("b", 0), ("c", 3), ("d", 47), ("too old", 48)):
        await add_model(connection, key, hour - timedelta(hours=hours), seen=hour)
    await add_model(connection, "retired", hour, catalog="gone")
    found = await read_extras(pool, QUERIES)
    times = [at for at, _ in found.changes_per_hour]

    assert times == sorted(times)
    assert {at: models for at, models in found.changes_per_hour if models} == {
        hour - timedelta(hours=47): 1,
        hour - timedelta(hours=3): 1,
        hour: 2,
    }
    assert found.changes_cut_at is None


async def test_too_many_changes_are_counted_up_to_the_limit_and_no_further(
    pool: Pool, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "COUNTED_CHANGES", 3)
    hour = await hour_of_the_server(connection)
    for number in range(5):
        await add_model(connection, f"m{number}", hour - timedelta(hours=number), seen=hour)
    await add_model(connection, "other", hour - timedelta(hours=30), catalog="ours", seen=hour)
    found = await read_extras(pool, QUERIES)

    assert found.changes_cut_at == hour - timedelta(hours=2)


async def test_models_over_time_come_and_go_by_day(pool: Pool, connection: Any) -> None:
    first = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    for key, day, removed in (("a", 0, None), ("b", 0, 2), ("c", 1, None)):
        gone = None if removed is None else first + timedelta(days=removed)
        await add_model(connection, key, first + timedelta(days=day), removed=gone)
    await add_model(connection, "retired", first, catalog="gone")
    found = await read_extras(pool, QUERIES)

    assert found.models_over_time == (
        ModelCount(date(2026, 3, 1), 2, 0),
        ModelCount(date(2026, 3, 2), 3, 0),
        ModelCount(date(2026, 3, 3), 2, 1),
    )
    assert found.sampled_share == 1.0


async def test_a_large_mirror_is_sampled_the_same_way_each_time(
    pool: Pool, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connection.execute(
        "INSERT INTO scenario.models (catalog, id, created_at, updated_at, body, content_hash,"
        " sent_order) SELECT 'public', 'm' || n, now(), now(), '{}', '\\x00', 1"
        " FROM generate_series(1, 20000) AS n"
    )
    pages = await connection.fetchval("SELECT pg_relation_size('scenario.models') / 8192")
    monkeypatch.setattr(questions, "SAMPLED_PAGES", pages // 2)
    first, second = await read_extras(pool, QUERIES), await read_extras(pool, QUERIES)
    (counted,) = first.models_over_time

    assert 0.45 < first.sampled_share <= 0.5
    assert 15_000 < counted.live < 25_000
    assert counted.live != 20_000
    assert first.models_over_time == second.models_over_time


async def test_recent_cycles_are_the_newest_of_each_catalog(pool: Pool, connection: Any) -> None:
    await connection.execute(
        "INSERT INTO syncer.cycle"
        " (catalog, kind, strategy, reason, source_now, started_at, finished_at, outcome)"
        " SELECT c, 'delta', 'probe', c || n, now(), now() - n * interval '1 minute',"
        "   CASE WHEN n > 1 THEN now() END, CASE WHEN n > 1 THEN 'complete' END"
        " FROM unnest(ARRAY['public', 'ours', 'gone']) AS c,"
        "   (SELECT generate_series(20, 1, -1) AS n) AS s ORDER BY n DESC"
    )
    await connection.execute(
        "INSERT INTO syncer.checkpoint (cycle_id, partition, phase, sort_key, models, pages)"
        " SELECT max(cycle_id), p, 'walking', 'createdAt', 500, 2"
        " FROM syncer.cycle, unnest(ARRAY['a', 'b']) AS p WHERE catalog = 'ours' GROUP BY p"
    )
    found = await read_extras(pool, QUERIES)
    ours = [each for each in found.cycles if each.catalog == "ours"]

    assert {each.catalog for each in found.cycles} == {"public", "ours"}
    assert [each.reason for each in ours] == [f"ours{number}" for number in range(1, 9)]
    assert [(each.outcome, each.models, each.pages) for each in ours][:2] == [
        (None, 1000, 4),
        ("complete", None, None),
    ]


class Arriving:
    """The queries; a model arrives, committed by somebody else, before the third is asked."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __getitem__(self, name: str) -> str:
        if name == "count_hourly_changes":
            arrival = postgres.execute(
                self._url,
                "INSERT INTO scenario.models"
                " (catalog, id, created_at, updated_at, body, content_hash, sent_order)"
                " VALUES ('public', 'late', now(), now(), '{}', '', 1)",
            )
            with ThreadPoolExecutor(1) as other:
                other.submit(postgres.run_apart, arrival).result()
        return QUERIES[name]


async def test_the_answers_speak_of_one_moment(
    pool: Pool, connection: Any, migrated_database_url: str
) -> None:
    queries: Any = Arriving(migrated_database_url)
    found = await read_extras(pool, queries)

    assert {models for _, models in found.changes_per_hour} == {0}
    assert found.models_over_time == ()
    assert [each.id for each in (await read_extras(pool, QUERIES)).changes] == ["late"]


async def test_nothing_is_written_even_by_mistake(pool: Pool, connection: Any) -> None:
    writing: Any = dict.fromkeys(QUERIES, "DELETE FROM syncer.catalog WHERE $1::bigint > 0")

    with pytest.raises(Exception, match="read-only"):
        await read_extras(pool, writing)
    assert await connection.fetchval("SELECT count(*) FROM syncer.catalog") == 3


async def test_a_database_that_is_away_is_an_error_of_ours() -> None:
    pool = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0, timeout=2)
    try:
        with pytest.raises(StoreUnavailable):
            await read_extras(pool, QUERIES)
    finally:
        pool.terminate()


async def test_p10_the_page_of_a_real_mirror_shows_its_models_and_no_signature(
    pool: Pool, migrated_database_url: str
) -> None:
    source = new_source(SourceTime(), models=120)
    async with mirroring(migrated_database_url, source) as mirror:
        assert (await mirror.backfill()).complete
        async with pool.acquire() as own:
            catalogs, partitions = await read_status(own, QUERIES)
        settings, now = mirror.settings(), await mirror.value("SELECT now()")
    found = await read_extras(pool, QUERIES)
    document = build_status(settings, catalogs, partitions, now=now)
    html = render_page(document, found, (), now)

    assert len(found.changes) == 12
    assert all(escape(each.id) in html for each in found.changes)
    assert {each.what for each in found.changes} == {"new"}
    assert any(each.thumbnail_url for each in found.changes)
    assert [(each.kind, each.outcome, each.models) for each in found.cycles] == [
        ("backfill", "complete", 120)
    ]
    assert [each.live for each in found.models_over_time] == [120]
    for secret in ("Signature=", "Policy=", "Key-Pair-Id="):
        assert secret not in html


@pytest.fixture(name="address")
async def address_fixture() -> AsyncIterator[tuple[str, list[PageInput]]]:
    """The page behind a real server; the list holds what the next answer is about."""
    pages = [idle()]

    async def read() -> PageInput:
        return pages[-1]

    application = web.Application()
    application.add_routes(page_routes(read))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", pages
    await runner.cleanup()


async def test_the_page_and_its_files_are_served_with_the_policy(
    address: tuple[str, list[PageInput]],
) -> None:
    url, pages = address
    kinds = {}
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/page.css", "/page.js", "/page.svg"):
            async with session.get(url + path) as answer:
                assert answer.status == 200
                assert page_headers().items() <= dict(answer.headers).items()
                assert await answer.text()
                kinds[path] = answer.headers["Content-Type"]
        pages.append(database_away())
        async with session.get(url) as answer:
            assert "Database away" in await answer.text()
        async with session.head(url) as answer:
            assert answer.status == 200
        async with session.post(url) as answer:
            assert answer.status == 405

    assert kinds == {
        "/": "text/html; charset=utf-8",
        "/page.css": "text/css; charset=utf-8",
        "/page.js": "text/javascript; charset=utf-8",
        "/page.svg": "image/svg+xml; charset=utf-8",
    }
