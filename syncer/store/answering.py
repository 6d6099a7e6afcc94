"""
Answers of any length, in bounded memory: through a cursor, in one snapshot that cannot write.

Owns the transaction, how much is fetched at once, and how a statement of the user's is refused.
Never keeps more than one batch.
Invariant: all rows of an answer are of one moment.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import asyncpg

from syncer.errors import ConfigError
from syncer.store.pool import Connection, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH: Final = 200
"""Rows in memory at a time, at most."""

BATCH_BYTES: Final = 8 * 2**20
"""Bytes in memory at a time, at most, unless a single row has more."""

MEASURED: Final = 1000
"""Sizes in memory at a time."""

_OTHER_BYTES: Final = 32
"""About what a value takes that is neither text nor bytes."""

_NOT_THE_STATEMENT: Final = ("08", "53", "57P", "58")
"""Classes of SQLSTATE that say nothing about what was asked."""


Row = tuple[object, ...]
Guard = Callable[[], AbstractContextManager[None]]


class Cursor(Protocol):
    """What is used of asyncpg's."""

    async def fetch(self, n: int) -> Sequence[Any]:
        """At most so many of the next rows; none at the end."""


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
    batches: AsyncIterator[Sequence[Row]]
    """Values as the driver gives them; ``json`` and ``jsonb`` as bytes."""


@asynccontextmanager
async def open_answer(
    connection: Connection,
    statement: str,
    *values: object,
    by_user: bool = False,
    first: str = "",
    sizes: str = "",
) -> AsyncIterator[Answer]:
    """Begin to read the answer to one statement.

    Args:
        connection: its session; nothing else may use it meanwhile.
        statement: one that returns rows; of a user's, no other is run, as a read-only transaction
            lets some of them write all the same (COPY … TO PROGRAM).
        values: for ``$1`` and so on.
        first: a statement that is run before it, in the same transaction.
        sizes: a statement with the same values that tells the bytes of each row of the first, in
            the same order; then no batch has more than ``BATCH_BYTES``. Without it that is felt
            for: a row much larger than those before it may come with others of its kind.
        by_user: what PostgreSQL says of the statement is for whoever wrote it.

    Raises:
        ConfigError: PostgreSQL refuses the user's statement.
        StoreError: as the database does.
    """
    guard = _told_to_the_user(statement) if by_user else translate
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    with guard():
        await transaction.start()
    try:
        with guard():
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
            cursor = _Guarded(await prepared.cursor(*values), guard)
            told = None
            if sizes:
                measuring = await connection.prepare(sizes)
                told = _Guarded(await measuring.cursor(*values), guard)
        batches = _felt(cursor) if told is None else _measured(cursor, told)
        # What becomes of the rows is not the database's doing, and not translated.
        yield Answer(columns, batches)
    finally:
        # Never committed: PostgreSQL 15 lets a read-only transaction make large objects.
        if not connection.is_closed():
            with translate():
                await transaction.rollback()


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A cursor whose errors are ours."""

    cursor: Cursor
    guard: Guard

    async def fetch(self, n: int) -> Sequence[Any]:
        with self.guard():
            return await self.cursor.fetch(n)


async def show_as_written(connection: Connection) -> None:
    """Let times that Python has not, intervals and bits come as PostgreSQL writes them.

    Of a timestamptz of the years 1 to 9999 that is what the driver would have made of it.
    """
    with translate():
        await connection.execute("SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'")
    for name in _WRITTEN:
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=_WRITTEN[name], format="text"
        )


def _instant(text: str) -> object:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


_WRITTEN: Final[Mapping[str, Callable[[str], object]]] = {
    "timestamptz": _instant,
    "timestamp": _instant,
    **dict.fromkeys(("date", "time", "timetz", "interval", "bit", "varbit", "char"), str),
}


async def _measured(cursor: Cursor, sizes: Cursor) -> AsyncIterator[Sequence[Row]]:
    """Batches of known size. Both cursors are of one snapshot and in one order."""
    async for count in _counts(sizes):
        rows = await cursor.fetch(count)
        if len(rows) != count:
            raise AssertionError(f"{len(rows)} rows where {count} were measured")
        yield [tuple(row) for row in rows]
    if await cursor.fetch(1):
        raise AssertionError("there are more rows than were measured")


async def _counts(sizes: Cursor) -> AsyncIterator[int]:
    """How many rows each batch may have."""
    count = held_bytes = 0
    while told := await sizes.fetch(MEASURED):
        for (size_bytes,) in told:
            if count and (count == BATCH or held_bytes + size_bytes > BATCH_BYTES):
                yield count
                count = held_bytes = 0
            count += 1
            held_bytes += size_bytes
    if count:
        yield count


async def _felt(cursor: Cursor) -> AsyncIterator[Sequence[Row]]:
    """Batches of rows that nobody measured: no more at once than fit, were they like the last."""
    batch: list[Row] = []
    held_bytes, step = 0, 1
    while rows := await cursor.fetch(step):
        sizes = [_size_bytes(tuple(row)) for row in rows]
        batch += (tuple(map(_written, row)) for row in rows)
        held_bytes += sum(sizes)
        fitting = (BATCH_BYTES - held_bytes) // max(sizes)
        if len(batch) >= BATCH or fitting < 1:
            yield batch
            batch, held_bytes = [], 0
            fitting = BATCH_BYTES // max(sizes)
        step = max(1, min(2 * step, BATCH - len(batch), fitting))
    if batch:
        yield batch


def _written(value: object) -> object:
    """A range as PostgreSQL writes it; the driver takes no codec for one."""
    if not isinstance(value, asyncpg.Range):
        return value
    if value.isempty:
        return "empty"
    lower, upper = ("" if end is None else end for end in (value.lower, value.upper))
    opening, closing = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
    return f"{opening}{lower},{upper}{closing}"


def _size_bytes(value: object) -> int:
    if isinstance(value, str | bytes):
        return _OTHER_BYTES + len(value)
    if isinstance(value, list | tuple):
        return _OTHER_BYTES + sum(map(_size_bytes, value))
    return _OTHER_BYTES


def _told_to_the_user(statement: str) -> Guard:
    """A guard that says what PostgreSQL says of a statement of the user's."""

    @contextmanager
    def guard() -> Iterator[None]:
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
            except (ValueError, OverflowError, asyncpg.UnsupportedClientFeatureError) as error:
                raise ConfigError(
                    f"a value of the answer cannot be shown: {error}",
                    hint="Cast it to text: value::text.",
                ) from error
            except asyncpg.InterfaceError as error:
                if "expects" not in str(error):
                    raise
                raise ConfigError(
                    "the statement has parameters ($1), which nobody gives it",
                    hint="Write the values into it.",
                ) from error

    return guard


_HINTS: Final = {
    "25006": "This command only reads; 'syncer sql' without a statement opens psql.",
    "42601": "Correct it, and ask one statement at a time; 'syncer sql' without a statement opens "
    "psql, which takes several.",
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
