"""
Take the mirror away: one consistent copy in a file, or on standard output.

Owns the snapshot it is read from. Never writes to the
database, never keeps more than a batch of rows.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from syncer.config import Settings
from syncer.domain import Clock
from syncer.errors import ConfigError
from syncer.formats import ParquetWriter, csv_lines, json_lines
from syncer.reading import find_database, require_mirrored, require_readable
from syncer.store.answering import Answer, open_answer
from syncer.store.following import ChangeEnds, read_change_ends
from syncer.store.pool import Connection, connected
from syncer.store.queries import load_queries
from syncer.wholefile import appearing

if TYPE_CHECKING:
    import io

LONGEST_S: Final = 6 * 3600.0
"""For one statement, and for a reader that is slow to take what was read."""


class Format(enum.StrEnum):
    """What an export is written as."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Export:
    """What somebody wants to take away."""

    format: Format
    catalogs: tuple[str, ...] = ()
    """Empty: all."""
    since: datetime | None = None
    """Only what changed or was removed since, tombstones included; what was being written at that
    time may count as earlier."""
    after: int | None = None
    """Only what has a change after this one (``change_id``), tombstones included; exact. Without
    both: the live models."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    models: int
    newest_id: int | None
    """The newest change it holds: what an export after it begins with; ``None``: no change ever."""


Write = Callable[[bytes], Awaitable[None]]
Tell = Callable[[int], None]


@contextlib.asynccontextmanager
async def reading_session(settings: Settings, clock: Clock) -> AsyncIterator[Connection]:
    """A session that only reads, as long as that may take.

    Raises:
        StoreError, ConfigError: there is no database that can be read.
    """
    async with (
        find_database(settings, clock) as database,
        connected(
            database.url, limit_s=LONGEST_S, application_name="syncer reader", read_only=True
        ) as connection,
    ):
        yield connection


async def export_models(
    settings: Settings, clock: Clock, export: Export, *, target: Path | Write, tell: Tell
) -> Exported:
    """Write them.

    Args:
        settings: of the run.
        clock: for the embedded server.
        export: what to take.
        target: a file, which appears when it is complete; or where the text goes.
        tell: told how many rows are written, now and then.

    Raises:
        ConfigError: a catalog is unknown, the file cannot be written, pyarrow is not installed,
            or what came after the change can no longer be told.
        StoreError: as the database does.
    Cancel-safe: yes; then there is no file.
    """
    queries = load_queries()
    if export.format is Format.PARQUET:
        require_pyarrow()
    async with reading_session(settings, clock) as connection:
        await require_readable(connection, queries)
        await require_mirrored(connection, queries, settings, export.catalogs)
        statement = queries["export_models"]
        chosen = list(export.catalogs) or None
        async with open_answer(
            connection,
            statement,
            chosen,
            export.since,
            export.after,
            first=queries["avoid_sorting"],
            sizes=queries["measure_models"],
        ) as answer:
            # In the snapshot of the rows: they hold this change, and none after it.
            ends = await read_change_ends(connection, queries)
            _require_told(ends, export.after)
            if isinstance(target, Path):
                models = await _to_file(answer, export.format, target, tell)
            else:
                models = await _to_writer(answer, export.format, target, tell)
            return Exported(models, ends.newest_id)


def _require_told(ends: ChangeEnds, after: int | None) -> None:
    """Ids have gaps: one that is gone may have been the last before the oldest that is kept."""
    if after is None:
        return
    if ends.newest_id is None or ends.oldest_id is None:
        raise ConfigError(
            f"what came after change {after} cannot be told: no change is kept",
            hint="Export everything, without --after; history.keep_days says how long they are.",
        )
    if after > ends.newest_id:
        raise ConfigError(
            f"there is no change {after} here: the newest that is kept is {ends.newest_id}",
            hint="A backup was restored, a catalog was forgotten, or it is another database's: "
            "export everything, without --after.",
        )
    if after < ends.oldest_id - 1:
        raise ConfigError(
            f"changes after {after} are no longer kept: the oldest is {ends.oldest_id}",
            hint="Export everything, without --after; history.keep_days says how long they are.",
        )


def require_pyarrow() -> None:
    """Raise ``ConfigError`` when the extra is not installed."""
    try:
        import pyarrow as pa  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            "parquet needs the package pyarrow, which is not installed here",
            hint="Install 'syncer[parquet]', or export as jsonl or csv.",
        ) from error


async def _to_writer(answer: Answer, format_: Format, write: Write, tell: Tell) -> int:
    encode = (csv_lines if format_ is Format.CSV else json_lines)(answer.columns)
    count = 0
    if head := encode([]):
        await write(head)
    async for rows in answer.batches:
        await write(encode(rows))
        count += len(rows)
        tell(count)
    return count


async def _to_file(answer: Answer, format_: Format, path: Path, tell: Tell) -> int:
    with appearing(path) as file:
        if format_ is not Format.PARQUET:

            async def write(data: bytes) -> None:
                file.write(data)

            return await _to_writer(answer, format_, write, tell)
        parquet, count = ParquetWriter(answer.columns, cast("io.BufferedIOBase", file)), 0
        async for rows in answer.batches:
            parquet.write(rows)
            count += len(rows)
            tell(count)
        parquet.close()
        return count
