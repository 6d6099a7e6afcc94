"""
Names that readers rely on: every view, column and function of schema ``scenario``, and its comment.

``tests/support/views_contract.txt`` is the list. A line that is gone or differs breaks somebody's
dashboard: that is a new major version. What was added is written there with

    WRITE_VIEWS_CONTRACT=1 uv run pytest -n0 tests/integration/test_views_contract.py
"""

from __future__ import annotations

import os
from pathlib import Path

from support.analysts import analyst

CONTRACT = Path(__file__).parents[1] / "support" / "views_contract.txt"

COLUMNS = """
SELECT format('%s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) AS line
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'scenario'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
ORDER BY c.relname, a.attnum
"""

FUNCTIONS = """
SELECT format(
    '%s(%s) -> %s', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
) AS line
FROM pg_proc AS p
WHERE p.pronamespace = 'scenario'::regnamespace
ORDER BY 1
"""

UNCOMMENTED = """
SELECT format('%s.%s', c.oid::regclass, a.attname) AS name
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_description AS d
    ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum
WHERE c.relkind IN ('r', 'v', 'm', 'p') AND coalesce(d.description, '') = ''
    AND (c.relnamespace = 'scenario'::regnamespace
        OR c.relnamespace = 'syncer'::regnamespace AND c.relkind = 'v')
UNION ALL
SELECT c.oid::regclass::text
FROM pg_class AS c
WHERE c.relnamespace = 'scenario'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
    AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
WHERE p.pronamespace IN ('scenario'::regnamespace, 'syncer'::regnamespace)
    AND obj_description(p.oid, 'pg_proc') IS NULL
"""


async def test_every_view_column_and_function_says_what_it_means(
    migrated_database_url: str,
) -> None:
    """Readers see the comment in psql, Metabase and dbt; nothing else tells them."""
    async with analyst(migrated_database_url) as connection:
        uncommented = [row["name"] for row in await connection.fetch(UNCOMMENTED)]

    assert uncommented == []


async def test_names_and_columns_stay_as_readers_know_them(migrated_database_url: str) -> None:
    """See above for what to do when this fails."""
    async with analyst(migrated_database_url) as connection:
        lines = [row["line"] for row in await connection.fetch(COLUMNS)]
        lines += [row["line"] for row in await connection.fetch(FUNCTIONS)]
    if os.environ.get("WRITE_VIEWS_CONTRACT"):
        CONTRACT.write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert lines == CONTRACT.read_text(encoding="utf-8").splitlines()
