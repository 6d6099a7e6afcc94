"""
A mirror as analysts find it, and the answers to their questions computed from the records.

Owns storing records and changes by hand, and a second reading of records that shares nothing with
the views. Never looks at SQL of ours.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from syncer.api.decode import decode_model
from syncer.domain import Model, Page, SentOrder, Unusable
from syncer.store.pool import Connection, connected
from syncer.store.rows import ROW_COLUMNS, batch_from_page, row_from_model

Record = dict[str, Any]

VIEWS = """
SELECT c.relname
FROM pg_class AS c
WHERE c.relnamespace = 'scenario'::regnamespace AND c.relkind = 'v'
ORDER BY c.relname
"""


@asynccontextmanager
async def analyst(url: str) -> AsyncIterator[Connection]:
    """A session in which nothing of ours is found by its bare name."""
    async with connected(url, limit_s=60, application_name="analyst") as connection:
        await connection.execute("SET search_path = pg_catalog")
        yield connection


def record(model_id: str, **fields: Any) -> Record:
    """The least that a model is."""
    instant = "2026-01-02T03:04:05.678Z"
    return {"id": model_id, "createdAt": instant, "updatedAt": instant} | fields


async def store(connection: Connection, catalog: str, records: Iterable[Record]) -> None:
    """Write records as the merge writes them, columns and all."""
    models = []
    for each in records:
        decoded = decode_model(json.dumps(each).encode())
        assert not isinstance(decoded, Unusable), decoded
        models.append(decoded)
    batch = batch_from_page(catalog, Page(tuple(models), None, None, SentOrder(1)), _read)
    rows = [row_from_model(batch, model) for model in batch.models if isinstance(model, Model)]
    await connection.copy_records_to_table(
        "models", schema_name="scenario", columns=ROW_COLUMNS, records=rows
    )


def _read(listed: object) -> Model | Unusable:
    raise AssertionError(f"read already: {listed}")


async def register(connection: Connection, *catalogs: str, **columns: object) -> None:
    """Configure catalogs; columns of ``syncer.catalog`` hold for all of them."""
    for catalog in catalogs:
        await connection.execute(
            "INSERT INTO syncer.catalog SELECT (jsonb_populate_record(NULL::syncer.catalog,"
            ' \'{"scope": {"privacy": "public"}, "removals_waiting": 0, "blocked": false}\'::jsonb'
            " || $1::text::jsonb)).*",
            json.dumps({"catalog": catalog} | columns),
        )


async def remove(connection: Connection, catalog: str, *ids: str) -> None:
    """Turn live models into tombstones."""
    await connection.execute(
        "UPDATE scenario.models SET removed_at = now(), removed_reason = 'absent'"
        " WHERE catalog = $1 AND id = ANY ($2::text[])",
        catalog,
        ids,
    )


async def change(
    connection: Connection,
    catalog: str,
    model_id: str,
    operation: str,
    at: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write one row of the history."""
    fields = None if before is None else sorted({*before, *(after or {})})
    await connection.execute(
        "INSERT INTO scenario.model_changes (catalog, id, operation, changed_fields, before,"
        " after, source_updated_at, committed_at)"
        " VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb, now(),"
        " $7::text::timestamptz)",
        catalog,
        model_id,
        operation,
        fields,
        None if before is None else json.dumps(before),
        None if after is None else json.dumps(after),
        at,
    )


async def rows(connection: Connection, view: str, columns: str) -> list[tuple[Any, ...]]:
    """What a view says, sorted; NULL comes before everything."""
    found = await connection.fetch(f"SELECT {columns} FROM scenario.{view}")  # noqa: S608 - our own names
    return ordered(tuple(row) for row in found)


def ordered(found: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in an order that minds neither types nor NULL."""
    return sorted(found, key=lambda row: [(value is not None, str(value)) for value in row])


def words(value: object) -> list[str]:
    """The texts of one or of a list of them, sorted, each once."""
    listed = value if isinstance(value, list) else [value]
    return sorted({word for word in listed if isinstance(word, str) and word.strip()})


def inner(value: object, *names: str) -> Any:
    """What a path leads to; ``None`` where it leads nowhere."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items(value: object) -> list[Any]:
    """A list's items; none of anything else."""
    return value if isinstance(value, list) else []
