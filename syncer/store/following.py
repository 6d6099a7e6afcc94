"""
Read the table of changes, and hear when there are more.

Owns the queries of whoever follows the mirror. Only reads, and needs no right beyond schema
scenario. Never decides how far somebody has read.
Invariant: changes are handed out in the order in which they became visible.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries

CHANNEL: Final = "scenario_model_changes"
"""NOTIFY comes after each commit that has changes (DESIGN §5)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One transition of a model."""

    change_id: int
    catalog: str
    id: str
    operation: str
    changed_fields: tuple[str, ...] | None
    before: bytes | None
    """JSON, as PostgreSQL spells it."""
    after: bytes | None
    source_updated_at: datetime
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeEnds:
    """How far the table of changes reaches; of ``None`` when it is empty."""

    oldest_id: int | None
    oldest_committed_at: datetime | None
    newest_id: int | None


@dataclass(frozen=True, slots=True)
class ReaderFacts:
    """What the session of a reader can see."""

    sees_migrations: bool
    is_standby: bool


async def check_reader(connection: Connection, queries: Queries) -> ReaderFacts:
    """What this session can see; works on an empty database."""
    with translate():
        record = await connection.fetchrow(queries["check_reader"])
    if record is None:
        raise RuntimeError("a query without FROM has one row")
    return ReaderFacts(record["sees_migrations"], record["is_standby"])


async def list_mirrored(connection: Connection, queries: Queries) -> tuple[str, ...]:
    """Names of the catalogs that the database knows, retired ones included."""
    with translate():
        records = await connection.fetch(queries["list_mirrored"])
    return tuple(record["catalog"] for record in records)


async def read_changes(
    connection: Connection, queries: Queries, *, after: int, limit: int, limit_bytes: int
) -> tuple[Change, ...]:
    """The next changes after one, at most ``limit`` and so many bytes; none at the end only."""
    with translate():
        records = await connection.fetch(queries["read_changes"], after, limit, limit_bytes)
    return tuple(
        Change(
            change_id=record["change_id"],
            catalog=record["catalog"],
            id=record["id"],
            operation=record["operation"],
            changed_fields=None
            if record["changed_fields"] is None
            else tuple(record["changed_fields"]),
            before=record["before"],
            after=record["after"],
            source_updated_at=record["source_updated_at"],
            committed_at=record["committed_at"],
        )
        for record in records
    )


async def read_change_ends(connection: Connection, queries: Queries) -> ChangeEnds:
    """The oldest change that is kept, and the newest."""
    with translate():
        record = await connection.fetchrow(queries["read_change_ends"])
    if record is None:
        raise RuntimeError("a query without FROM has one row")
    return ChangeEnds(record["oldest_id"], record["oldest_committed_at"], record["newest_id"])


async def hear_changes(connection: Connection) -> asyncio.Event:
    """An event that is set at each notification, and when the connection ends.

    What was committed before this returns is not heard of: read after it, not before.
    """
    bell = asyncio.Event()

    def ring(*_facts: object) -> None:
        bell.set()

    with translate():
        await connection.add_listener(CHANNEL, ring)
    connection.add_termination_listener(ring)
    return bell
