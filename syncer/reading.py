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
from syncer.database import open_database, open_reader
from syncer.domain import Clock
from syncer.errors import SchemaMismatch
from syncer.status import Document, build_status
from syncer.store.migrate import read_state
from syncer.store.pool import Connection
from syncer.store.queries import load_queries
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
        catalogs, partitions = await read_status(
            connection, load_queries(), detailed=settings.detailed
        )
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
        state = await read_state(connection)
        if state.pending:
            at = f"at migration {state.applied[-1]:04d}" if state.applied else "empty"
            raise SchemaMismatch(f"the database is {at}, this build needs {state.newest_known:04d}")
        yield connection


def _has_embedded(data_dir: Path) -> bool:
    from syncer.embedded import has_cluster  # noqa: PLC0415 - only where no database is named

    return has_cluster(data_dir)
