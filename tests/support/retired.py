"""
Catalogs made by hand, to be forgotten or to be left alone.

Owns a few rows in every table that speaks of a catalog, and the count of what is left of them.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
from support.stored import fetch, fetch_value

if TYPE_CHECKING:
    from collections.abc import Iterable

_CATALOG = """
INSERT INTO syncer.catalog
    (catalog, scope, pin, backfilled_at, watermark, settled_from, head, last_cycle_kind,
     last_cycle_outcome, last_cycle_started_at, last_cycle_finished_at, last_complete_at,
     removals_waiting, blocked, last_error_at, last_error_message, last_error_hint, swept_at,
     fed_at, verified_at, verify_differences, retired_at)
VALUES ($1, '{"privacy": "public"}', 'elsewhere', now(), now(), now(), now(), 'delta', 'complete',
     now(), now(), now(), 3, true, now(), 'broke', 'mend it', now(), now(),
     now(), 2,
     CASE WHEN $2::bool THEN timestamptz '2026-01-02 03:04Z' END)
"""

_MODELS = """
INSERT INTO scenario.models
    (catalog, id, created_at, updated_at, body, content_hash, sent_order, first_seen_at,
     removed_at, removed_reason)
SELECT $1, 'm' || lpad(n::text, 7, '0'), now(), now(), '{"some": "thing"}', '\\x00', n, now(),
    CASE WHEN n <= $3 THEN now() END, CASE WHEN n <= $3 THEN 'absent' END
FROM generate_series(1, $2::int) AS n
"""

_CHANGES = """
INSERT INTO scenario.model_changes (catalog, id, operation, source_updated_at, committed_at)
SELECT catalog, id, CASE WHEN n = 1 THEN 'insert' ELSE 'remove' END, updated_at, clock_timestamp()
FROM scenario.models, generate_series(1, 2) AS n
WHERE catalog = $1 AND (n = 1 OR removed_at IS NOT NULL)
"""

_QUARANTINE = """
INSERT INTO syncer.quarantine (catalog, key, reason, raw, raw_hash, dismissed)
SELECT $1, 'q' || n, 'broken', '{}', '', n = 1 FROM generate_series(1, $2::int) AS n
"""

_CYCLES = """
WITH cycle AS (
    INSERT INTO syncer.cycle (catalog, kind, strategy, reason, source_now, finished_at, outcome)
    SELECT $1, 'backfill', 'time', 'by hand', now(),
        CASE WHEN n > 1 THEN now() END, CASE WHEN n > 1 THEN 'complete' END
    FROM generate_series(1, $2::int) AS n
    RETURNING cycle_id
)
INSERT INTO syncer.checkpoint (cycle_id, partition, phase, sort_key)
SELECT cycle_id, name, 'walking', 'createdAt' FROM cycle, unnest(ARRAY['a', 'b']) AS name
"""

_DETAILS = """
INSERT INTO scenario.model_details
    (catalog, id, body, content_hash, listed_hash, source_updated_at, fetched_at, changed_at)
SELECT catalog, id, '{"inputs": [{}, {}]}', '', '', now(), now(), now()
FROM scenario.models WHERE catalog = $1
ON CONFLICT DO NOTHING
"""

_INPUTS = """
INSERT INTO scenario.model_inputs (catalog, id, position, body)
SELECT catalog, id, n, '{}' FROM scenario.model_details, generate_series(1, 2) AS n
WHERE catalog = $1
ON CONFLICT DO NOTHING
"""

_DETAIL_FAILURES = """
INSERT INTO syncer.detail_failure (catalog, id, listed_hash, reason, tries, failed_at, retry_at)
SELECT catalog, id, '', 'broken', 1, now(), now() + interval '1 s'
FROM scenario.models WHERE catalog = $1
ON CONFLICT DO NOTHING
"""

TABLES = (
    "scenario.models",
    "scenario.model_changes",
    "scenario.model_details",
    "scenario.model_inputs",
    "syncer.detail_failure",
    "syncer.quarantine",
    "syncer.cycle",
    "syncer.catalog",
)


async def fill(
    url: str,
    catalog: str,
    *,
    models: int = 20,
    removed: int = 3,
    quarantined: int = 5,
    cycles: int = 4,
    retired: bool = True,
) -> None:
    """A catalog with rows everywhere; one of its cycles is unfinished."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_CATALOG, catalog, retired)
        await connection.execute(_MODELS, catalog, models, removed)
        for derived in (_CHANGES, _DETAILS, _INPUTS, _DETAIL_FAILURES):
            await connection.execute(derived, catalog)
        await connection.execute(_QUARANTINE, catalog, quarantined)
        await connection.execute(_CYCLES, catalog, cycles)
    finally:
        await connection.close()


async def rows_left(url: str, catalog: str, tables: Iterable[str] = TABLES) -> dict[str, int]:
    """How many rows each table has of a catalog; checkpoints hang on cycles."""
    counts = {
        table.partition(".")[2]: await fetch_value(
            url,
            f"SELECT count(*) FROM {table} WHERE catalog = $1",  # noqa: S608 - our own names
            catalog,
        )
        for table in tables
    }
    counts["checkpoint"] = await fetch_value(
        url,
        "SELECT count(*) FROM syncer.checkpoint JOIN syncer.cycle USING (cycle_id)"
        " WHERE catalog = $1",
        catalog,
    )
    return counts


async def everything_of(url: str, catalog: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of a catalog with the transactions that wrote them: who touches one is found out."""
    return {
        table: await fetch(
            url,
            f"SELECT xmin::text, ctid::text, to_jsonb(t)::text AS row FROM {table} AS t"  # noqa: S608
            " WHERE catalog = $1 ORDER BY ctid",
            catalog,
        )
        for table in TABLES
    }


async def slow_down(url: str, what: str, seconds: float) -> None:
    """Make each ``ROW`` or each ``STATEMENT`` that deletes models take its time."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN PERFORM pg_sleep({seconds}); RETURN OLD; END $$;"
            f"CREATE TRIGGER dawdle BEFORE DELETE ON scenario.models FOR EACH {what}"
            " EXECUTE FUNCTION public.dawdle()"
        )
    finally:
        await connection.close()
