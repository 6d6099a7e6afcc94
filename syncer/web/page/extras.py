"""
Read what the status page shows beside the status document.

Owns four bounded questions and the snapshot that they share. Never writes, and never asks anything
whose cost grows with the mirror.
Invariant: the answers speak of one moment.
Kind: edge (PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from syncer.store.pool import Connection, Pool, translate
from syncer.store.queries import Queries
from syncer.web.page.values import ChangedModel, Extras, ModelCount, RecentCycle

CYCLES_PER_CATALOG = 8
RECENT_CHANGES = 12
HOURS = 48
COUNTED_CHANGES = 50_000
"""Of each catalog: a source that touches everything at once is not worth a long read."""
SAMPLED_PAGES = 4000
"""32 MB of the table, 25,000 models as they commonly are: the error is about one in a hundred."""


class _Row(Protocol):
    def __getitem__(self, name: str) -> Any: ...  # noqa: ANN401 - as asyncpg types it


async def read_extras(pool: Pool, queries: Queries) -> Extras:
    """The page's own facts, from one read-only snapshot.

    Raises:
        StoreError: the database cannot be read.
    """
    with translate():
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _read(connection, queries)


async def _read(connection: Connection, queries: Queries) -> Extras:
    now: datetime = await connection.fetchval("SELECT now()")
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first_hour = this_hour - timedelta(hours=HOURS - 1)
    cycles = await connection.fetch(queries["list_recent_cycles"], CYCLES_PER_CATALOG)
    changes = await connection.fetch(queries["list_recent_changes"], RECENT_CHANGES)
    hourly = await connection.fetch(queries["count_hourly_changes"], first_hour, COUNTED_CHANGES)
    history = await connection.fetch(queries["sample_history"], float(SAMPLED_PAGES))
    return Extras(
        cycles=tuple(RecentCycle(**dict(row.items())) for row in cycles),
        changes=tuple(ChangedModel(**dict(row.items())) for row in changes),
        changes_per_hour=fill_hours(first_hour, {row["hour"]: row["models"] for row in hourly}),
        changes_cut_at=hourly[0]["cut_at"] if hourly else None,
        models_over_time=add_up(history),
        sampled_share=history[0]["share"] if history else 1.0,
    )


def fill_hours(
    first_hour: datetime, counted: Mapping[datetime, int]
) -> tuple[tuple[datetime, int], ...]:
    """All hours, also those in which nothing happened."""
    hours = (first_hour + timedelta(hours=number) for number in range(HOURS))
    return tuple((hour, counted.get(hour, 0)) for hour in hours)


def add_up(history: Iterable[_Row]) -> tuple[ModelCount, ...]:
    """Totals at the end of each day from what came and went on it, scaled up from a sample."""
    counts: list[ModelCount] = []
    came = went = 0
    for row in history:
        came, went, share = came + int(row["came"]), went + int(row["went"]), row["share"]
        counts.append(ModelCount(row["day"], round((came - went) / share), round(went / share)))
    return tuple(counts)
