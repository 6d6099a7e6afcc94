"""
Answers from the database for commands that only look.

Owns how a reading command behaves where there is nothing to read yet: it never creates a database,
never migrates, never starts filling.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from syncer.config import Settings, require_database
from syncer.database import Database, open_database, open_reader
from syncer.domain import Clock
from syncer.errors import ConfigError, SchemaMismatch
from syncer.status import Document, build_status
from syncer.store.following import ReaderFacts, check_reader, list_mirrored
from syncer.store.migrate import MigrationState, read_state
from syncer.store.pool import Connection
from syncer.store.queries import Queries, load_queries
from syncer.store.status import (
    QuarantineRow,
    dismiss_quarantine,
    list_quarantine,
    read_status,
)

_NOTHING = "nothing is mirrored yet: run 'syncer sync'"


async def read_status_document(settings: Settings, clock: Clock) -> Document:
    """The status document; says so when there is no database yet.

    Raises:
        StoreError, ConfigError: the database cannot be read.
    """
    async with open_existing(settings, clock) as connection:
        if connection is None:
            return build_status(settings, (), (), now=clock.now(), problems=[_NOTHING])
        catalogs, partitions = await read_status(connection, load_queries())
        return build_status(settings, catalogs, partitions, now=clock.now())


async def read_quarantine(
    settings: Settings, clock: Clock, *, catalogs: Sequence[str], keys: Sequence[str]
) -> tuple[QuarantineRow, ...]:
    """Quarantined models of some catalogs; no keys means all."""
    async with open_existing(settings, clock) as connection:
        if connection is None:
            return ()
        return await list_quarantine(connection, load_queries(), catalogs=catalogs, keys=keys)


async def dismiss_models(
    settings: Settings, clock: Clock, *, catalogs: Sequence[str], keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Silence quarantined models; returns the (catalog, key) that were found."""
    async with open_existing(settings, clock) as connection:
        if connection is None:
            return ()
        return await dismiss_quarantine(connection, load_queries(), catalogs=catalogs, keys=keys)


@contextlib.asynccontextmanager
async def find_database(settings: Settings, clock: Clock) -> AsyncIterator[Database]:
    """The configured database, or the embedded one if it was ever filled; none is made.

    Raises:
        SchemaMismatch: there is no embedded database yet.
        ConfigError: no database is configured and none may be embedded.
    """
    require_database(settings)
    if not settings.database.url and not _has_embedded(settings.database.data_dir):
        raise SchemaMismatch(
            f"nothing is mirrored yet: {settings.database.data_dir} holds no database",
            hint="Run 'syncer sync' first, or name a database that is filled in database.url.",
        )
    async with open_database(settings, clock=clock) as database:
        yield database


async def require_readable(connection: Connection, queries: Queries) -> ReaderFacts:
    """Make sure that the schema fits this build, as far as the user may see which one it is.

    A role that may read schema scenario alone cannot; what is missing then shows when it is read.

    Raises:
        SchemaMismatch: the schema is behind or ahead.
    """
    facts = await check_reader(connection, queries)
    if facts.sees_migrations:
        _refuse_pending(await read_state(connection))
    return facts


async def require_mirrored(
    connection: Connection, queries: Queries, settings: Settings, names: Sequence[str]
) -> None:
    """Refuse names of catalogs that neither this database nor the configuration has ever had.

    Raises:
        ConfigError: there is one.
    """
    configured = {catalog.name for catalog in settings.catalogs}
    if not set(names) - configured:
        return
    known = configured | set(await list_mirrored(connection, queries))
    for name in names:
        if name not in known:
            raise ConfigError(
                f"there is no catalog '{name}', neither in the database nor in the configuration",
                hint=f"Name one of those that are: {', '.join(sorted(known))}.",
            )


@contextlib.asynccontextmanager
async def open_existing(settings: Settings, clock: Clock) -> AsyncIterator[Connection | None]:
    """A connection to a database that has our schema; ``None`` when there is no database yet.

    Raises:
        SchemaMismatch: the schema is behind or ahead, or an operator has yet to create it.
    """
    require_database(settings)
    if not settings.database.url and not _has_embedded(settings.database.data_dir):
        yield None
        return
    async with (
        open_database(settings, clock=clock) as database,
        open_reader(settings, database.url) as connection,
    ):
        _refuse_pending(await read_state(connection))
        yield connection


def _refuse_pending(state: MigrationState) -> None:
    if state.pending:
        at = f"at migration {state.applied[-1]:04d}" if state.applied else "empty"
        raise SchemaMismatch(f"the database is {at}, this build needs {state.newest_known:04d}")


def _has_embedded(data_dir: Path) -> bool:
    from syncer.embedded import has_cluster  # noqa: PLC0415 - only where no database is named

    return has_cluster(data_dir)
