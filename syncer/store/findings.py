"""
What earlier checks found out about a source.

Owns ``syncer.finding``. Never decides what a finding means or whether a change of it matters.
Invariant: a value that is found again keeps the time at which it was first found. No lease fences
these rows: they belong to no catalog, and the last check is right.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries

FindingValue = str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """One value as an earlier check left it."""

    value: FindingValue
    first_found_at: datetime
    """Database clock."""


async def read_findings(
    connection: Connection, queries: Queries, source: str
) -> dict[str, StoredFinding]:
    """Everything known of a source, by key."""
    with translate():
        records = await connection.fetch(queries["read_findings"], source)
    return {
        record["key"]: StoredFinding(_from_json(record["value"]), record["first_found_at"])
        for record in records
    }


async def save_findings(
    connection: Connection, queries: Queries, source: str, values: Mapping[str, FindingValue]
) -> None:
    """Keep these values; keys that are not among them stay as they are.

    Cancel-safe: yes; one statement, all or nothing.
    """
    with translate():
        await connection.execute(queries["save_findings"], source, json.dumps(dict(values)))


def _from_json(text: bytes) -> FindingValue:
    value = json.loads(text)
    if isinstance(value, list):
        return tuple(str(each) for each in value)
    return value if isinstance(value, int) else str(value)
