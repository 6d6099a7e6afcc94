"""
Changes as the merge writes them, without a source: rows of scenario.model_changes by SQL.

Owns the order of the ids (drawn under the lock that the merge takes) and the notification.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from typing import Final

import asyncpg

_LOCK: Final = "SELECT pg_advisory_xact_lock(1937337958, 0)"

_INSERT: Final = """
    INSERT INTO scenario.model_changes
        (catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at)
    SELECT
        $1, 'm' || number, 'update', ARRAY['name'], jsonb_build_object('name', 'old ' || number),
        jsonb_build_object('name', 'new ' || number), '2025-03-01 12:00:00.123Z', clock_timestamp()
    FROM generate_series(1, $2::int) AS number
    ORDER BY number
    RETURNING change_id
"""

_NOTIFY: Final = "SELECT pg_notify('scenario_model_changes', '')"


async def insert_changes(
    url: str, count: int = 1, *, catalog: str = "public", notify: bool = True
) -> list[int]:
    """So many updates in one transaction; returns their ids."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
            rows = await connection.fetch(_INSERT, catalog, count)
            if notify:
                await connection.execute(_NOTIFY)
        return [row["change_id"] for row in rows]
    finally:
        await connection.close()


async def drop_changes(url: str, *, up_to: int) -> None:
    """As retention does."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM scenario.model_changes WHERE change_id <= $1", up_to)
    finally:
        await connection.close()
