"""
Find the database of this run: the configured one, or the embedded one where that is allowed.

Owns how it is opened, its time limits, and whether its schema is brought up to date. Never reads or
writes what is mirrored.
Invariant: a database that nobody named is started with a warning only.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.config import Settings, require_database
from syncer.domain import Clock
from syncer.store.migrate import migrate, require_current
from syncer.store.pool import Connection, connected
from syncer.store.queries import load_queries
from syncer.store.readers import ReaderGrants, grant_reading, plan_grants
from syncer.telemetry import Event, logger

if TYPE_CHECKING:
    from syncer.embedded import EmbeddedServer

STATEMENT_SHARE = 0.6
"""Statement and idle limits, as a share of the lease's time to live: a writer that hangs loses its
transaction before it can lose its lease."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where the mirror is kept in this run."""

    url: str
    embedded: EmbeddedServer | None


@contextlib.asynccontextmanager
async def open_database(
    settings: Settings, *, clock: Clock, keep: bool = False
) -> AsyncIterator[Database]:
    """The configured database, or the embedded one where that is allowed.

    Raises:
        ConfigError: no database is configured and none may be embedded.
    """
    require_database(settings)
    if settings.database.url:
        yield Database(settings.database.url, None)
        return
    from syncer.embedded import embedded_postgres  # noqa: PLC0415 - only where it is used

    async with embedded_postgres(
        settings.database.data_dir,
        clock=clock,
        keep=keep,
        on_wait=lambda what: _say_embedded(settings, what),
    ) as server:
        yield Database(server.dsn, server)


def _say_embedded(settings: Settings, what: str) -> None:
    """Starting a server that nobody asked for by name is a warning; waiting for it is not."""
    log = logger(data_dir=str(settings.database.data_dir))
    if what.startswith("starting"):
        log.warning(
            Event.EMBEDDED_STARTED,
            hint="no database.url is set; for anything but trying out, set it (or DATABASE_URL)",
        )
    else:
        log.info(Event.EMBEDDED_AWAITED, reason=what)


@contextlib.asynccontextmanager
async def open_reader(settings: Settings, url: str) -> AsyncIterator[Connection]:
    """One connection for commands that look or administer, under the usual limits."""
    limit_s = settings.lease.ttl_s * STATEMENT_SHARE
    async with connected(url, limit_s=limit_s, application_name="syncer") as connection:
        yield connection


async def migrate_database(settings: Settings, url: str) -> tuple[str, ...]:
    """Bring the schema up to date; returns the labels of what was applied."""
    async with open_reader(settings, url) as connection:
        return tuple(each.label for each in await migrate(connection))


async def admit_reader(
    settings: Settings, url: str, name: str, *, dry_run: bool = False
) -> ReaderGrants:
    """Let a role read schema scenario, or only say what that would take.

    Raises:
        ConfigError: our user may not do that, or the role could do more than read.
    """
    async with open_reader(settings, url) as connection:
        admit = plan_grants if dry_run else grant_reading
        return await admit(connection, load_queries(), name)


async def bring_up_to_date(settings: Settings, connection: Connection) -> None:
    """Migrate, or refuse a schema that does not fit, as configured."""
    if settings.database.migrate == "manual":
        await require_current(connection, "manual")
        return
    for migration in await migrate(connection):
        logger(migration=migration.label).info(Event.MIGRATION_APPLIED)
