"""A mirror that is full already gets its views, whatever older builds have stored."""

from __future__ import annotations

import asyncpg

from syncer.store.migrate import migrate
from syncer.store.queries import load_migrations

BEFORE = 11
"""The last migration without views for analysts."""

STORED = """
INSERT INTO scenario.models
    (catalog, id, name, type, tags, created_at, updated_at, body, content_hash, sent_order)
SELECT
    'public', n::text, 'Findable', CASE n WHEN 1 THEN long ELSE 'custom' END,
    CASE n WHEN 2 THEN ARRAY['a', long] ELSE ARRAY['a', repeat('b', 500), repeat('c', 500)] END,
    now(), now(), jsonb_build_object('type', long), '', n
FROM generate_series(1, 3) AS n,
    (SELECT string_agg(md5(i::text), '') AS long FROM generate_series(1, 300) AS i) AS l
"""


async def test_keys_that_no_index_can_hold_do_not_stop_the_upgrade(database_url: str) -> None:
    """They leave their columns, as those of new records do, and stay in body."""
    connection = await asyncpg.connect(database_url)
    try:
        await migrate(connection, migrations=load_migrations()[:BEFORE])
        await connection.execute(STORED)
        await migrate(connection)
        rows = await connection.fetch("SELECT id, type, tags, body FROM scenario.models ORDER BY 1")
        found = await connection.fetchval("SELECT count(*) FROM scenario.search_models('findable')")
    finally:
        await connection.close()

    assert [row["type"] for row in rows] == [None, "custom", "custom"]
    assert [len(row["tags"] or ()) for row in rows] == [3, 0, 3]
    assert all(len(row["body"]) > 9000 for row in rows)
    assert found == 3
