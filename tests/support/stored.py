"""
What the database holds, read by a connection of its own, and whether it is what it should be.

For the end-to-end tests: knows the tables, but nothing of the program that filled them.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg

from syncer.api.normalise import content_hash, normalise

if TYPE_CHECKING:
    from syncer.simulator import SimulatedSource

Row = dict[str, Any]


async def fetch(url: str, query: str, *arguments: object) -> list[Row]:
    """The rows of one query."""
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def fetch_value(url: str, query: str, *arguments: object) -> Any:
    """The only value of one query."""
    rows = await fetch(url, query, *arguments)
    assert len(rows) == 1
    return next(iter(rows[0].values()))


async def count_models(url: str, catalog: str = "public") -> int:
    """Live models of a catalog."""
    value: int = await fetch_value(
        url, "SELECT count(*) FROM scenario.live_models WHERE catalog = $1", catalog
    )
    return value


async def live_bodies(url: str, catalog: str = "public") -> dict[str, Row]:
    """Live models of a catalog, by id, as records of the source."""
    rows = await fetch(
        url, "SELECT id, body::text AS body FROM scenario.live_models WHERE catalog = $1", catalog
    )
    return {row["id"]: json.loads(row["body"]) for row in rows}


async def lease_holder(url: str, catalog: str = "public") -> str | None:
    """Who holds the lease; ``None`` when it was released."""
    holder: str | None = await fetch_value(
        url, "SELECT max(holder) FROM syncer.lease WHERE catalog = $1", catalog
    )
    return holder


async def assert_mirrors(url: str, source: SimulatedSource, catalog: str = "public") -> None:
    """The mirror equals the source by id and content."""
    mirrored, listed = await live_bodies(url, catalog), source.live_models()

    assert mirrored.keys() == listed.keys()
    different = [
        model_id
        for model_id, model in listed.items()
        if content_hash(normalise(model)) != content_hash(mirrored[model_id])
    ]
    assert different == []
