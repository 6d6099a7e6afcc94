"""
What the database server is, and what our user may do on it.

Only reads; never decides what is missing too much.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass

from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as our user sees it."""

    version: str
    """As the server calls itself, without the name of a distribution."""
    is_read_only: bool
    """A standby, or set so for our user."""
    has_lz4: bool
    may_migrate: bool
    """Whether our user may create what migrations create."""


async def describe_server(connection: Connection, queries: Queries) -> ServerFacts:
    """Ask the server about itself; works on an empty database and on servers that are too old."""
    with translate():
        record = await connection.fetchrow(queries["describe_server"])
    if record is None:
        raise RuntimeError("a query without FROM has one row")
    return ServerFacts(
        version=record["version"].partition(" ")[0],
        is_read_only=record["is_read_only"],
        has_lz4=record["has_lz4"],
        may_migrate=record["may_migrate"],
    )


async def list_missing_rights(connection: Connection, queries: Queries) -> tuple[str, ...]:
    """Rights on the mirror's tables that our user lacks, as GRANT would spell them."""
    with translate():
        records = await connection.fetch(queries["list_missing_rights"])
    return tuple(record["missing"] for record in records)
