"""
Answers of any length, in bounded memory: through a cursor, in one snapshot that cannot write.

Owns the transaction and how a statement of the user's is refused. Never keeps more than one batch.
Invariant: all rows of an answer are of one moment.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from syncer.errors import ConfigError
from syncer.store.pool import Connection, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH: Final = 200
"""Rows in memory at a time."""

_NOT_THE_STATEMENT: Final = ("08", "53", "57P", "58")
"""Classes of SQLSTATE that say nothing about what was asked."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer."""

    name: str
    type: str
    """PostgreSQL's name of it; ``text[]`` for arrays."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is being read."""

    columns: tuple[Column, ...]
    batches: AsyncIterator[Sequence[Sequence[object]]]
    """Values as the driver gives them; ``json`` and ``jsonb`` as bytes."""


@asynccontextmanager
async def open_answer(
    connection: Connection, statement: str, *values: object, by_user: bool = False, first: str = ""
) -> AsyncIterator[Answer]:
    """Begin to read the answer to one statement.

    Args:
        connection: its session; nothing else may use it meanwhile.
        statement: one that returns rows; of a user's, no other is run, as a read-only transaction
            lets some of them write all the same (COPY … TO PROGRAM).
        values: for ``$1`` and so on.
        first: a statement that is run before it, in the same transaction.
        by_user: what PostgreSQL says of the statement is for whoever wrote it.

    Raises:
        ConfigError: PostgreSQL refuses the user's statement.
        StoreError: as the database does.
    """
    with _told_to_the_user(statement) if by_user else translate():
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if first:
                await connection.execute(first)
            prepared = await connection.prepare(statement)
            columns = tuple(
                Column(each.name, f"{each.type.name}") for each in prepared.get_attributes()
            )
            if by_user and not columns:
                raise ConfigError(
                    "the statement asks for no rows, and was not run", hint=_HINTS["25006"]
                )

            async def read() -> AsyncIterator[Sequence[Sequence[object]]]:
                cursor = await prepared.cursor(*values)
                while rows := await cursor.fetch(BATCH):
                    yield [tuple(row) for row in rows]

            yield Answer(columns, read())


@contextmanager
def _told_to_the_user(statement: str) -> Iterator[None]:
    with translate():
        try:
            yield
        except asyncpg.PostgresError as error:
            state = getattr(error, "sqlstate", None) or ""
            if state.startswith(_NOT_THE_STATEMENT):
                raise
            raise ConfigError(
                f"PostgreSQL refused the statement: {_said(error)}{_place(error, statement)}",
                hint=getattr(error, "hint", None) or _HINTS.get(state, _HINTS[""]),
            ) from error


_HINTS: Final = {
    "25006": "This command only reads; 'syncer sql' without a statement opens psql.",
    "57014": "It took too long; ask for less, or open psql ('syncer sql' without a statement).",
    "": "Correct it; 'syncer sql' without a statement opens psql, where '\\d scenario.*' lists "
    "what there is.",
}


def _said(error: asyncpg.PostgresError) -> str:
    detail = getattr(error, "detail", None)
    text = str(error.args[0]) if error.args else type(error).__name__
    return f"{text} ({detail})" if detail else text


def _place(error: asyncpg.PostgresError, statement: str) -> str:
    position = getattr(error, "position", None)
    if not position or not str(position).isdigit():
        return ""
    before = statement[: int(position) - 1]
    line = before.count("\n") + 1
    character = len(before) - (before.rfind("\n") + 1) + 1
    return f" (line {line}, character {character})"
