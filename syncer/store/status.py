"""
Read-only answers: the state of catalogs and partitions, the quarantine.

Owns the queries behind ``status``, ``/readyz`` and ``quarantine list``. Never writes, but to
silence a quarantined model when asked.
Invariant: everything shown is committed.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from syncer.store.details import DetailCount, count_details
from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One catalog, as stored."""

    catalog: str
    privacy: str
    phase: str
    watermark: datetime | None
    head: datetime | None
    lag_s: float | None
    freshness_s: float | None
    live_models: int
    removed_models: int
    quarantined_models: int
    removals_waiting: int
    backfilled_at: datetime | None
    last_cycle_kind: str | None
    last_cycle_outcome: str | None
    last_cycle_started_at: datetime | None
    last_cycle_finished_at: datetime | None
    last_error_at: datetime | None
    last_error_message: str | None
    last_error_hint: str | None
    holder: str | None
    epoch: int | None
    expires_at: datetime | None
    lease_valid: bool | None
    moved_s: float | None
    """Since the last page of the cycle under way, in seconds."""
    verified_at: datetime | None = None
    """When it was last compared with the source (database clock); ``None``: never, as it is now."""
    verify_differences: int | None = None
    """Models that differed then, after the repair if there was one."""
    details: DetailCount | None = None
    """How complete the details are; ``None``: they are not fetched."""
    feed_s: float | None = None
    """Since the feed of deleted models was last read whole, in seconds; private catalogs only."""


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition of a catalog's newest cycle that has any."""

    catalog: str
    partition: str
    phase: str
    after_at: datetime | None
    before_at: datetime | None
    newest_at: datetime | None
    models: int
    pages: int
    last_error_at: datetime | None
    last_error_message: str | None
    last_error_hint: str | None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One quarantined model."""

    catalog: str
    key: str
    reason: str
    raw: bytes
    dismissed: bool
    first_seen_at: datetime
    changed_at: datetime


async def read_status(
    connection: Connection, queries: Queries, *, detailed: Sequence[str] = ()
) -> tuple[tuple[CatalogRow, ...], tuple[PartitionRow, ...]]:
    """All known catalogs and their partitions, by name.

    ``detailed``: those whose details are fetched, to be counted.
    """
    with translate():
        catalogs = await connection.fetch(queries["read_status"])
        partitions = await connection.fetch(queries["read_partitions"])
    counts = dict.fromkeys(detailed, DetailCount())
    if detailed:
        counts |= await count_details(connection, queries, detailed)
    return (
        tuple(
            CatalogRow(**_dict(record), details=counts.get(record["catalog"]))
            for record in catalogs
        ),
        tuple(PartitionRow(**_dict(record)) for record in partitions),
    )


async def list_quarantine(
    connection: Connection,
    queries: Queries,
    *,
    catalogs: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> tuple[QuarantineRow, ...]:
    """Quarantined models, oldest first; no catalogs or no keys means all."""
    with translate():
        records = await connection.fetch(
            queries["list_quarantine"], list(catalogs) or None, list(keys) or None
        )
    return tuple(QuarantineRow(**_dict(record)) for record in records)


async def dismiss_quarantine(
    connection: Connection, queries: Queries, *, catalogs: Sequence[str], keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Silence models until their content changes; returns the (catalog, key) that were found."""
    with translate():
        records = await connection.fetch(
            queries["dismiss_quarantine"], list(catalogs) or None, list(keys)
        )
    return tuple((record["catalog"], record["key"]) for record in records)


def _dict(record: asyncpg.Record) -> dict[str, Any]:
    return dict(record.items())
