"""
What analysts ask of 100,000 models enters an index, or reads everything for a reason.

Each view of schema ``scenario`` stands here: asked for one thing with the index that it enters, or
whole with its reason. Filled set-based from a few real records, in some seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import postgres
from support.analysts import VIEWS, analyst, inner, register
from support.mirror import SLIM, SourceTime, new_source
from support.plans import explain

if TYPE_CHECKING:
    from syncer.store.pool import Connection

MODELS = 100_000
BY_KEY = ("models_pkey", "id")
ONE = "catalog = 'public' AND id = 'model_00070000'"

FILL = """
INSERT INTO scenario.models
    (catalog, id, name, type, tags, capabilities, collection_ids, short_description,
     access_restrictions, training_images_number, created_at, updated_at, body, content_hash,
     sent_order, first_seen_at)
SELECT
    CASE WHEN n % 3 = 0 THEN 'private' ELSE 'public' END,
    'model_' || lpad(n::text, 8, '0'),
    CASE n % 5000 WHEN 7 THEN 'Needle ' ELSE r.body ->> 'name' END || ' ' || n,
    CASE n % 1000 WHEN 3 THEN 'rare' ELSE r.body ->> 'type' END,
    ARRAY['Video', r.body #>> '{tags,0}', 'tag' || n % 500],
    ARRAY['txt2img'], '{}',
    r.body ->> 'shortDescription',
    25, 0,
    timestamptz '2024-01-01Z' + n * interval '1 minute',
    timestamptz '2025-01-01Z' + (n * 7919 % 20000) * interval '1 minute',
    r.body, sha256(n::text::bytea), n, timestamptz '2025-06-01Z'
FROM generate_series(1, $2::int) AS n
JOIN jsonb_array_elements($1::text::jsonb) WITH ORDINALITY AS r (body, place) ON r.place = 1 + n % 8
"""

CHANGES = """
INSERT INTO scenario.model_changes
    (catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at)
SELECT
    m.catalog, m.id,
    CASE WHEN n <= $1 THEN 'insert' ELSE 'update' END,
    CASE WHEN n > $1 THEN ARRAY['name'] END,
    CASE WHEN n > $1 THEN '{"name": "a"}'::jsonb END,
    CASE WHEN n > $1 THEN '{"name": "b"}'::jsonb END,
    m.updated_at,
    timestamptz '2025-06-01Z' + n * interval '2 minutes'
FROM generate_series(1, $1::int + 50000) AS n
JOIN scenario.models AS m
    ON m.id = 'model_' || lpad((1 + (n - 1) % $1::int)::text, 8, '0')
ORDER BY n
"""

SELECTIVE: Mapping[str, tuple[str, tuple[str, str]]] = {
    "live_models of a type": (
        "SELECT * FROM scenario.live_models WHERE type = 'rare'",
        ("models_type_idx", "type"),
    ),
    "live_models with a tag": (
        "SELECT * FROM scenario.live_models WHERE tags @> ARRAY['tag7']",
        ("models_search_idx", "tags"),
    ),
    "live_models with two tags of one catalog": (
        "SELECT id FROM scenario.live_models WHERE catalog = 'public' AND tags @> '{Video,tag7}'",
        ("models_search_idx", "tags"),
    ),
    "search_models": (
        "SELECT * FROM scenario.search_models('needle 70007')",
        ("models_search_idx", "@@"),
    ),
    "search_models of one catalog": (
        "SELECT * FROM scenario.search_models('needle', 5, 'private')",
        ("models_search_idx", "@@"),
    ),
    "the changes of a model": (
        f"SELECT * FROM scenario.model_changes WHERE {ONE} ORDER BY change_id",  # noqa: S608
        ("model_changes_model_idx", "id"),
    ),
    "changes_daily": (
        "SELECT * FROM scenario.changes_daily WHERE day = '2025-07-20'",
        ("model_changes_day_idx", "::date"),
    ),
    "changes_daily of a week": (
        "SELECT * FROM scenario.changes_daily WHERE day BETWEEN '2025-07-20' AND '2025-07-26'",
        ("model_changes_day_idx", "::date"),
    ),
    "provider_changes_daily": (
        "SELECT * FROM scenario.provider_changes_daily WHERE day = '2025-07-20'",
        ("model_changes_day_idx", "::date"),
    ),
} | {
    view: (f"SELECT * FROM scenario.{view} WHERE {ONE}", BY_KEY)  # noqa: S608 - our own names
    for view in (
        "live_models",
        "model_tags",
        "model_capabilities",
        "model_collections",
        "model_concepts",
        "model_deprecations",
        "model_compliance",
        "model_licences",
        "model_sub_processors",
        "model_plan_access",
        "model_training",
        "known_models",
        "live_model_details",
        "live_model_inputs",
    )
}

WHOLE: Mapping[str, str] = {
    "type_counts": "it counts every live model",
    "type_counts_daily": "it walks back through all changes from what is live now",
    "sync_status": "it counts every model; scenario.freshness does not",
    "model_tags of a tag": "a view that spells out lists cannot be entered by one of their words;"
    " scenario.live_models WHERE tags @> ARRAY['…'] can",
    "model_deprecations of all": "tags are an unsorted list, and few of them begin with deprecated",
}
"""What reads everything, and why."""

NOT_OF_MODELS = {"freshness": "a row for each catalog; the quarantine is small"}


DETAILS = """
INSERT INTO scenario.model_details
    (catalog, id, body, content_hash, listed_hash, source_updated_at, fetched_at, changed_at)
SELECT catalog, id, '{}', content_hash, content_hash, updated_at, now(), now() FROM scenario.models;
INSERT INTO scenario.model_inputs (catalog, id, position, name, body)
SELECT catalog, id, 1, 'prompt', '{}' FROM scenario.models;
ANALYZE scenario.model_details; ANALYZE scenario.model_inputs
"""
"""As if the details of all of them had been fetched."""


@dataclass(frozen=True, slots=True)
class Place:
    url: str


async def fill(url: str) -> Place:
    """100,000 models of two catalogs, and what happened to them in half a year."""
    source = new_source(SourceTime(), models=40)
    records = list(source.live_models("public").values())
    some = [each | {"exampleAssetIds": SLIM["exampleAssetIds"]} for each in records[:8]]
    assert len({inner(each, "complianceMetadata", "modelProvider") for each in some}) > 2
    async with analyst(url) as connection:
        await register(connection, "public", "private")
        for table in ("models", "model_changes"):
            await connection.execute(
                f"ALTER TABLE scenario.{table} SET (autovacuum_enabled = false)"
            )
        await connection.execute(FILL, json.dumps(some), MODELS)
        await connection.execute("ANALYZE scenario.models")
        await connection.execute(DETAILS)
        await connection.execute(CHANGES, MODELS)
        await connection.execute("VACUUM (ANALYZE) scenario.model_changes")
    return Place(url)


@pytest.fixture(name="place", scope="module")
def place_fixture(postgres_dsn: str, migrated_template: str) -> Iterator[Place]:
    with postgres.fresh_database(postgres_dsn, template=migrated_template) as url:
        yield postgres.run_apart(fill(url))


async def test_questions_for_one_thing_enter_an_index(place: Place) -> None:
    wrong = {}
    async with analyst(place.url) as connection:
        for name, (query, (index, column)) in SELECTIVE.items():
            plan = await explain(connection, query, [])
            whole = plan.whole_tables & {"models", "model_changes"}
            if whole or not plan.enters(index, column):
                wrong[name] = f"reads all of {whole or 'nothing'}, not by {index}:\n{plan}"

    assert wrong == {}, "\n\n".join(f"{name} {text}" for name, text in wrong.items())


async def test_one_day_reads_a_few_pages_of_the_history(place: Place) -> None:
    """The index of days holds ranges of pages, so it must be seen to leave most of them out."""
    async with analyst(place.url) as connection:
        text = await connection.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
            " SELECT * FROM scenario.changes_daily WHERE day = '2025-07-20'"
        )
        pages = await connection.fetchval(
            "SELECT pg_relation_size('scenario.model_changes') / 8192"
        )
    node = json.loads(text)[0]["Plan"]

    assert pages > 1000
    assert node["Shared Hit Blocks"] + node["Shared Read Blocks"] < pages / 10


async def test_every_answer_is_found_by_its_index(place: Place) -> None:
    """The same rows as without it."""
    queries = [query for query, _ in SELECTIVE.values()]
    async with analyst(place.url) as connection:
        by_index = [await count(connection, query) for query in queries]
        await connection.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
        without = [await count(connection, query) for query in queries[:3] + queries[5:8]]

    assert by_index[:3] + by_index[5:8] == without
    assert [each for each in by_index[:9] if not each] == []


async def count(connection: Connection, query: str) -> int:
    found = await connection.fetchval(f"SELECT count(*) FROM ({query}) AS q")  # noqa: S608
    assert isinstance(found, int)
    return found


async def test_every_view_has_its_place_here(place: Place) -> None:
    """A new one is placed on one of the lists by whoever adds it."""
    async with analyst(place.url) as connection:
        views = {row["relname"] for row in await connection.fetch(VIEWS)}

    assert views == views & (SELECTIVE.keys() | WHOLE.keys() | NOT_OF_MODELS.keys())
    assert all([*WHOLE.values(), *NOT_OF_MODELS.values()])


async def test_what_reads_everything_does_so_without_asking_row_by_row(place: Place) -> None:
    """A join that enters an index for each model would take minutes instead of a second."""
    queries = {
        "type_counts": "SELECT * FROM scenario.type_counts",
        "model_tags of a tag": "SELECT * FROM scenario.model_tags WHERE tag = 'tag7'",
        "model_deprecations of all": "SELECT * FROM scenario.model_deprecations",
        "sync_status": "SELECT * FROM scenario.sync_status",
        "type_counts_daily": "SELECT * FROM scenario.type_counts_daily",
    }
    async with analyst(place.url) as connection:
        whole = {
            name: (await explain(connection, query, [])).whole_tables
            for name, query in queries.items()
        }

    assert queries.keys() == WHOLE.keys()
    assert {name for name, tables in whole.items() if not tables} == set()
