"""
Write what happened to models: the last thing that a transaction does.

Owns ``scenario.model_changes`` but for its old age. Never decides what counts as a difference:
that is a function that is passed in.
Invariant: a change commits with the row that it tells of, once; change ids become visible in their
order. They are drawn under a lock that is held to the end of the transaction; whoever holds it
waits for no lock any more, so it can be part of no deadlock and is held as briefly as can be.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from syncer.domain import Millis, Model, to_datetime
from syncer.store.pool import Connection
from syncer.store.queries import Queries

STEP_BYTES: Final = 128 * 1024
"""Bodies are compared for a few milliseconds, then others may have their turn."""

Compare = Callable[[bytes, bytes], tuple[bytes, bytes]]
"""The fields that differ between two bodies, as they were and as they are, as JSON objects
(``syncer.api.difference.differing_fields``); two equal objects when nothing differs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One transition of one model."""

    id: str
    operation: Literal["insert", "update", "restore"]
    updated_ms: Millis
    """Of the version that it brought."""
    before: bytes | None = None
    after: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A row that was written over, with what it held when it was locked."""

    model: Model
    body: bytes
    was_removed: bool


def insertions(models: Iterable[Model]) -> list[Change]:
    """The changes of new models."""
    return [Change(model.id, "insert", model.updated_ms) for model in models]


async def rewritings(rows: Iterable[Rewritten], compare: Compare) -> list[Change]:
    """The changes of rows that were written over.

    A live row that holds the same content as before, say under a new rule of hashing, has not
    changed; a tombstone that was undone has, though no field may differ.
    """
    changes: list[Change] = []
    compared_bytes = 0
    for row in rows:
        before, after = compare(row.body, row.model.body)
        if row.was_removed:
            changes.append(Change(row.model.id, "restore", row.model.updated_ms, before, after))
        elif before != after:
            changes.append(Change(row.model.id, "update", row.model.updated_ms, before, after))
        compared_bytes += len(row.body) + len(row.model.body)
        if compared_bytes >= STEP_BYTES:
            compared_bytes = 0
            await asyncio.sleep(0)
    return changes


async def insert_changes(
    connection: Connection, queries: Queries, catalog: str, changes: Sequence[Change]
) -> None:
    """Write a page's changes, and tell whoever listens; nothing happens without any.

    The caller has done everything else and commits.
    """
    if not changes:
        return
    ordered = sorted(changes, key=lambda change: change.id.encode())
    await connection.execute(queries["lock_changes"])
    await connection.execute(
        queries["insert_changes"],
        catalog,
        [change.id for change in ordered],
        [change.operation for change in ordered],
        [change.before for change in ordered],
        [change.after for change in ordered],
        [to_datetime(change.updated_ms) for change in ordered],
    )


async def insert_removals(
    connection: Connection, queries: Queries, catalog: str, removed: int
) -> None:
    """Write the changes of the models that this transaction has removed; as ``insert_changes``.

    Args:
        connection: in the outermost transaction; what a savepoint holds has another number.
        queries: as loaded.
        catalog: theirs.
        removed: how many; none costs nothing.
    """
    if not removed:
        return
    await connection.execute(queries["lock_changes"])
    await connection.execute(queries["insert_removals"], catalog)
