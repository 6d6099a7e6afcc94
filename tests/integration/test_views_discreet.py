"""No view fails, shows what is volatile or secret, or speaks of a retired catalog."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from support.analysts import VIEWS, analyst, change, record, register, remove, store

MARK = "tell_tale"
LINK = f"https://cdn.example/{MARK}"

VOLATILE = record(
    "volatile",
    type="flux.1-lora",
    trainingImagesNumber=3,
    thumbnail={"assetId": "asset_1", "url": LINK},
    epochs=[{"epoch": "1", "assets": [{"assetId": "asset_2", "url": LINK}, 5]}, "odd"],
    trainingImages=[{"id": "asset_3", "downloadUrl": LINK}, None],
    trainingProgress={"stage": MARK, "captchaImageUrl": LINK},
    performanceStats={"default": MARK},
    parameters={"url": LINK, "nested": {"deep": [LINK]}, "rank": 8},
    **{"class": {"slug": "kept", "thumbnails": [LINK]}},
)

DETAILS = """
INSERT INTO scenario.model_details
    (catalog, id, body, content_hash, listed_hash, source_updated_at, fetched_at, changed_at)
SELECT
    catalog, id, body || '{"inputs": [{"name": "prompt"}]}', content_hash, content_hash, updated_at,
    now(), now()
FROM scenario.models;
INSERT INTO scenario.model_inputs (catalog, id, position, name, body)
SELECT d.catalog, d.id, f.position, f.name, f.field
FROM scenario.model_details AS d CROSS JOIN LATERAL syncer.input_fields(d.body) AS f;
"""
"""As if all of them had been fetched."""

WITH_TOMBSTONES = {"known_models"}

UNFILTERED = {"sync_status"}
"""For monitors: it shows retired catalogs as such (DESIGN §3, phase)."""


async def test_volatile_values_are_in_no_view(migrated_database_url: str) -> None:
    """The table keeps them, as of changed_at; no view shows them."""
    async with analyst(migrated_database_url) as connection:
        await register(connection, "public")
        await store(connection, "public", [VOLATILE])
        await connection.execute(DETAILS)
        stored = await connection.fetchval("SELECT body::text FROM scenario.models")
        body = await connection.fetchval("SELECT body::text FROM scenario.live_models")
        shown = {
            view: await connection.fetch(f"SELECT v::text FROM scenario.{view} AS v")  # noqa: S608
            for (view,) in await connection.fetch(VIEWS)
        }

    assert stored.count(MARK) == 9
    assert [view for view, found in shown.items() if MARK in str(found)] == []
    for kept in ("asset_1", "asset_2", "asset_3", "kept", '"rank": 8', '"odd"'):
        assert kept in body


async def test_bodies_of_any_shape_are_shown(migrated_database_url: str) -> None:
    """The volatile places may hold anything."""
    odd: tuple[Any, ...] = (None, 5, "x", [], {}, [1], [[]], [{}], {"a": 1}, [{"assets": {}}])
    names = ("thumbnail", "class", "epochs", "trainingImages", "parameters", "trainingProgress")
    records = [
        record(f"{name}_{number}", **{name: value})
        for name in names
        for number, value in enumerate(odd)
    ]
    async with analyst(migrated_database_url) as connection:
        await store(connection, "public", [*records, record("link", parameters=LINK)])
        differing = await connection.fetch(
            "SELECT m.id FROM scenario.models AS m JOIN scenario.live_models AS l USING (id)"
            " WHERE l.body <> m.body - 'trainingProgress'"
        )
        for scalar in ("5", "[]", "null", '"x"'):
            assert await connection.fetchval(f"SELECT syncer.stable_body('{scalar}') = '{scalar}'")

    assert [row["id"] for row in differing] == ["link"]


async def test_a_retired_catalog_is_nowhere(migrated_database_url: str) -> None:
    """Nor is it among the places where a target is live, nor found by a search."""
    full = VOLATILE | {
        "name": "Findable",
        "tags": ["deprecated:b"],
        "capabilities": ["c"],
        "collectionIds": ["c"],
        "concepts": [{"modelId": "b"}],
        "complianceMetadata": {"licenseTerms": "l", "subProcessor": "s", "modelProvider": "p"},
    }
    counts = {}
    async with analyst(migrated_database_url) as connection:
        await register(connection, "open", "closed")
        for catalog in ("open", "closed"):
            await store(connection, catalog, [full, record("b")])
            await change(connection, catalog, "volatile", "insert", "2026-01-01Z")
        await connection.execute(DETAILS)
        await connection.execute(
            "UPDATE syncer.catalog SET retired_at = now() WHERE catalog = 'closed'"
        )
        for (view,) in await connection.fetch(VIEWS):
            counts[view] = await connection.fetchrow(
                f"SELECT count(*) FILTER (WHERE catalog = 'open') AS open,"  # noqa: S608
                f" count(*) FILTER (WHERE catalog = 'closed') AS closed FROM scenario.{view}"
            )
        live_in = await connection.fetchval(
            "SELECT DISTINCT live_in FROM scenario.model_concepts WHERE target_id = 'b'"
        )
        found = await connection.fetch("SELECT catalog FROM scenario.search_models('findable')")

    assert [view for view, count in counts.items() if not count["open"]] == []
    shown = {view for view, count in counts.items() if count["closed"]}
    assert shown == UNFILTERED
    assert live_in == ["open"]
    assert [row["catalog"] for row in found] == ["open"]


async def test_an_empty_mirror_has_empty_views(migrated_database_url: str) -> None:
    async with analyst(migrated_database_url) as connection:
        for (view,) in await connection.fetch(VIEWS):
            assert await connection.fetch(f"SELECT * FROM scenario.{view}") == [], view  # noqa: S608


async def test_a_tombstone_is_in_no_view_of_models(migrated_database_url: str) -> None:
    async with analyst(migrated_database_url) as connection:
        await store(connection, "public", [VOLATILE | {"tags": ["deprecated"], "name": "Findable"}])
        await connection.execute(DETAILS)
        await remove(connection, "public", "volatile")
        for (view,) in await connection.fetch(VIEWS):
            found = await connection.fetch(f"SELECT * FROM scenario.{view}")  # noqa: S608
            assert (found == []) != (view in WITH_TOMBSTONES), view
        assert await connection.fetch("SELECT * FROM scenario.search_models('findable')") == []


async def test_a_reader_needs_no_right_on_the_schema_of_the_daemon(
    migrated_database_url: str,
) -> None:
    """Views, and the functions they call, work for a role that sees schema ``scenario`` alone."""
    async with analyst(migrated_database_url) as connection:
        await register(connection, "public")
        await store(connection, "public", [VOLATILE | {"name": "Findable", "tags": ["deprecated"]}])
        await change(connection, "public", "volatile", "insert", "2026-01-01Z")
        role = f"reader_{connection.get_server_pid()}"
        await connection.execute(
            f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA scenario TO {role};"
            f" GRANT SELECT ON ALL TABLES IN SCHEMA scenario TO {role}; SET ROLE {role}"
        )
        try:
            for (view,) in await connection.fetch(VIEWS):
                await connection.fetch(f"SELECT * FROM scenario.{view}")  # noqa: S608
            found = await connection.fetch("SELECT id FROM scenario.search_models('findable')")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="schema syncer"):
                await connection.fetch("SELECT * FROM syncer.catalog")
        finally:
            await connection.execute(f"RESET ROLE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}")

    assert [row["id"] for row in found] == ["volatile"]
