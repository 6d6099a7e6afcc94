"""A migration that is struck at its statements, and the next one, which goes on."""

from __future__ import annotations

from typing import Any

import pytest
from support.statement_cutter import Where, cutter_before
from support.stored import fetch
from support.tcp_proxy import through

from syncer.errors import SyncerError
from syncer.store.migrate import migrate
from syncer.store.pool import open_connection

LAST_STATEMENT = 200
SCHEMA = """
    SELECT n.nspname, c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, (SELECT array_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)
            FROM pg_constraint AS k WHERE k.conrelid = c.oid) AS constraints
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname IN ('scenario', 'syncer')
    ORDER BY 1, 2, 4
"""


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_migration_that_breaks_at_any_statement_is_finished_by_the_next_one(
    database_url: str, migrated_database_url: str, where: Where
) -> None:
    """P4: each file is applied whole or not at all, and noted with it."""
    struck: list[str] = []
    async with cutter_before(database_url) as cutter:
        url = through(cutter, database_url)
        for number in range(1, LAST_STATEMENT):
            cutter.arm(number, where)
            told = await migrated(url)
            cutter.disarm()
            if cutter.struck is None:
                assert told is None
                break
            assert told is not None
            struck.append(cutter.struck)

    assert any("COMMIT" in each for each in struck)
    assert await described(migrated_database_url) == await described(database_url)


async def migrated(url: str) -> SyncerError | None:
    """Migrate as a process would that knows nothing of the one before."""
    try:
        connection = await open_connection(
            url,
            statement_timeout_s=30,
            idle_in_transaction_timeout_s=30,
            application_name="syncer",
        )
        try:
            await migrate(connection)
        finally:
            connection.terminate()
    except SyncerError as error:
        return error
    return None


async def described(url: str) -> list[dict[str, Any]]:
    """Tables, columns and constraints, and which migrations are noted."""
    noted = await fetch(url, "SELECT number, checksum FROM syncer.migration ORDER BY 1")
    return [*await fetch(url, SCHEMA), *noted]
