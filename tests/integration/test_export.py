"""An export comes in order, without making the server sort the mirror."""

from __future__ import annotations

import asyncpg
import pytest
from support.plans import explain, fill

from syncer.store.pool import open_connection
from syncer.store.queries import load_queries


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("arguments", [[None, None], ["{public}", "2025-03-01Z"]])
async def test_rows_come_in_order_without_a_sort(
    migrated_database_url: str, arguments: list[str | None], analysed: bool
) -> None:
    """A sort would write the whole mirror into temporary files before the first row."""
    queries = load_queries()
    writer = await asyncpg.connect(migrated_database_url)
    try:
        await fill(writer)
        if analysed:
            await writer.execute("ANALYZE")
    finally:
        await writer.close()
    session = await open_connection(
        migrated_database_url,
        statement_timeout_s=60,
        idle_in_transaction_timeout_s=60,
        application_name="export test",
        read_only=True,
    )
    try:
        before = await explain(session, queries["export_models"], arguments)
        async with session.transaction():
            await session.execute(queries["avoid_sorting"])
            plan = await explain(session, queries["export_models"], arguments)
    finally:
        await session.close()

    assert "Sort" in {node["Node Type"] for node in before.nodes}, "why it is avoided"
    assert "Sort" not in {node["Node Type"] for node in plan.nodes}
    assert "models_pkey" in {node.get("Index Name") for node in plan.nodes}
