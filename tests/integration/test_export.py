"""An export comes in order, measured, without making the server sort the mirror."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import pytest
from support.plans import explain, fill

from syncer.store.pool import open_connection
from syncer.store.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from syncer.store.pool import Connection


@asynccontextmanager
async def filled(url: str, *, analysed: bool) -> AsyncIterator[Connection]:
    """A reader's session on a mirror with something in it."""
    writer = await asyncpg.connect(url)
    try:
        await fill(writer)
        if analysed:
            await writer.execute("ANALYZE")
    finally:
        await writer.close()
    session = await open_connection(
        url,
        statement_timeout_s=60,
        idle_in_transaction_timeout_s=60,
        application_name="export test",
        read_only=True,
    )
    try:
        yield session
    finally:
        await session.close()


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    "arguments", [[None, None, None], ["{public}", "2025-03-01Z", None], [None, None, "40"]]
)
async def test_rows_come_in_order_without_a_sort(
    migrated_database_url: str, arguments: list[str | None], analysed: bool
) -> None:
    """A sort would write the whole mirror into temporary files before the first row."""
    queries = load_queries()
    async with filled(migrated_database_url, analysed=analysed) as session:
        before = await explain(session, queries["export_models"], arguments)
        async with session.transaction():
            await session.execute(queries["avoid_sorting"])
            plans = [
                await explain(session, queries[name], arguments)
                for name in ("export_models", "measure_models")
            ]

    assert "Sort" in {node["Node Type"] for node in before.nodes}, "why it is avoided"
    for plan in plans:
        assert "Sort" not in {node["Node Type"] for node in plan.nodes}
        assert "models_pkey" in {node.get("Index Name") for node in plan.nodes}


@pytest.mark.parametrize(
    "arguments",
    [
        [None, None, None],
        [["public"], datetime(2025, 6, 15, tzinfo=UTC), None],
    ],
)
async def test_each_row_is_measured_before_it_is_fetched(
    migrated_database_url: str, arguments: list[object]
) -> None:
    """As many sizes as rows, in their order, and none smaller than what comes of the body."""
    queries = load_queries()
    async with filled(migrated_database_url, analysed=False) as session, session.transaction():
        await session.execute(queries["avoid_sorting"])
        rows = await session.fetch(queries["export_models"], *arguments)
        sizes = await session.fetch(queries["measure_models"], *arguments)

    assert len(rows) > 100
    assert len(rows) == len(sizes)
    assert [] == [
        row["id"] for row, (size,) in zip(rows, sizes, strict=True) if size < len(row["body"])
    ]
