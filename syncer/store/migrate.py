"""
Bring the schema up to date, forwards only.

Owns the bookkeeping in ``syncer.migration`` and the decision whether this build fits the database.
Never drops anything, never changes an applied step, never writes when only asked.
Invariant: a migration and its row commit together, and only one process migrates at a time.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from syncer.errors import ConfigError, SchemaMismatch, StoreError, StoreUnavailable
from syncer.store.pool import translate
from syncer.store.queries import MigrationFile, Queries, load_migrations, load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    import asyncpg

    from syncer.store.pool import Connection

OLDEST_SERVER: Final = 15
"""Major version of PostgreSQL (DESIGN §5)."""

_POLL_INTERVAL_S: Final = 0.25
_LONGEST_WAIT_S: Final = 120.0
"""For another process to finish migrating; a command that waited longer can be run again."""

_LOCK_TIMEOUT_MS: Final = "10000"
"""For a table lock: while a migration waits for one, everybody else's queries wait behind it."""

_STEP_TIMEOUT_S: Final = 3600
"""For one migration to run; far above any that was measured, and still a limit."""

_UPGRADE_HINT: Final = (
    "Install the syncer version that last migrated this database, or a newer one."
)


@dataclass(frozen=True, slots=True)
class MigrationState:
    """Where a database stands, seen from this build."""

    applied: tuple[int, ...]
    """Numbers applied to the database, ascending; may go beyond what this build knows."""
    pending: tuple[MigrationFile, ...]
    """What this build would still apply, in order."""
    newest_known: int
    """The last number that this build knows."""
    oldest_compatible: int
    """Builds that know less than this number cannot work with the database."""

    @property
    def ahead(self) -> bool:
        """A newer build has migrated this database (and left it usable for this one)."""
        return bool(self.applied) and self.applied[-1] > self.newest_known


async def read_state(
    connection: Connection, *, migrations: tuple[MigrationFile, ...] | None = None
) -> MigrationState:
    """Compare the database with this build; works on an empty one and only reads.

    Args:
        connection: any connection to the database.
        migrations: other ones than those shipped.

    Raises:
        SchemaMismatch: the server is too old, an applied file was changed since, steps are missing
            in between, or the database was migrated past what this build can work with.
    """
    queries, known = await _load(migrations)
    return await _read_state(connection, queries, known)


async def migrate(
    connection: Connection,
    *,
    migrations: tuple[MigrationFile, ...] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[MigrationFile, ...]:
    """Apply what is pending and return it; several processes may call this at once.

    Args:
        connection: not inside a transaction.
        migrations: other ones than those shipped.
        sleep: how to wait for another process that is migrating.

    Raises:
        SchemaMismatch: as ``read_state``, or a step meets objects that are not ours.
        StoreUnavailable: the connection broke, or another process kept the lock for too long.

    Cancel-safe: yes; each step commits with its row or not at all, the next call goes on.
    """
    queries, known = await _load(migrations)
    if not (await _read_state(connection, queries, known)).pending:
        return ()
    async with only_migrator(connection, queries, sleep):
        # Asked again: the process that held the lock may have done the work.
        state = await _read_state(connection, queries, known)
        oldest_compatible = state.oldest_compatible
        for migration in state.pending:
            oldest_compatible = max(oldest_compatible, migration.oldest_compatible or 0)
            await _apply(connection, queries, migration, oldest_compatible=oldest_compatible)
    return state.pending


async def require_current(
    connection: Connection,
    mode: Literal["auto", "manual"],
    *,
    migrations: tuple[MigrationFile, ...] | None = None,
) -> None:
    """Make sure that the schema fits this build: migrate (``auto``), or refuse (``manual``).

    Raises:
        SchemaMismatch: the database is behind and ``mode`` is ``manual``, or as ``migrate``.
        StoreUnavailable: as ``migrate``.
    """
    if mode == "auto":
        await migrate(connection, migrations=migrations)
        return
    state = await read_state(connection, migrations=migrations)
    if state.pending:
        at = f"at migration {state.applied[-1]:04d}" if state.applied else "empty"
        raise SchemaMismatch(
            f"the database is {at}, this build needs {state.newest_known:04d}; nothing was changed",
            hint=f"Run 'syncer migrate --dry-run' to see the missing steps ({len(state.pending)}), "
            "then 'syncer migrate'. (database.migrate is manual.)",
        )


async def _load(
    migrations: tuple[MigrationFile, ...] | None,
) -> tuple[Queries, tuple[MigrationFile, ...]]:
    # In a thread: files may stand on a slow disk, and the event loop serves /healthz meanwhile.
    queries = await asyncio.to_thread(load_queries)
    if migrations is None:
        migrations = await asyncio.to_thread(load_migrations)
    return queries, migrations


async def _read_state(
    connection: Connection, queries: Queries, known: tuple[MigrationFile, ...]
) -> MigrationState:
    with translate():
        _refuse_old_server(connection)
        rows: Sequence[asyncpg.Record] = ()
        if await connection.fetchval(queries["find_migration"]):
            rows = await connection.fetch(queries["read_migrations"])
    _refuse_changed_files(rows, known)
    applied = tuple(row["number"] for row in rows)
    _refuse_gap(applied)
    oldest_compatible = max((row["oldest_compatible"] for row in rows), default=1)
    newest_known = known[-1].number
    if oldest_compatible > newest_known:
        raise SchemaMismatch(
            f"the database is at migration {applied[-1]:04d}, which builds older than "
            f"{oldest_compatible:04d} cannot work with; this build knows {newest_known:04d}",
            hint=_UPGRADE_HINT,
        )
    return MigrationState(
        applied=applied,
        pending=known[len(applied) :],
        newest_known=newest_known,
        oldest_compatible=oldest_compatible,
    )


def _refuse_old_server(connection: Connection) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise SchemaMismatch(
            f"the server is PostgreSQL {version.major}, syncer needs {OLDEST_SERVER} or newer",
            hint="Upgrade the server, or name another one in database.url.",
        )


def _refuse_changed_files(rows: Sequence[asyncpg.Record], known: tuple[MigrationFile, ...]) -> None:
    by_number = {migration.number: migration for migration in known}
    for row in rows:
        migration = by_number.get(row["number"])
        if migration is not None and migration.checksum != row["checksum"]:
            raise SchemaMismatch(
                f"migration {migration.label} is not the one that was applied to the database "
                f"as {row['number']:04d}_{row['name']} on {row['applied_at']:%Y-%m-%d}; "
                "nothing was changed",
                hint=_UPGRADE_HINT,
            )


def _refuse_gap(applied: tuple[int, ...]) -> None:
    for expected, number in enumerate(applied, start=1):
        if number != expected:
            raise SchemaMismatch(
                f"syncer.migration names {number:04d} as applied but not {expected:04d}",
                hint="Somebody edited that table; restore the database, or use an empty one.",
            )


@asynccontextmanager
async def only_migrator(
    connection: Connection,
    queries: Queries,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Nobody else changes the schema, or grants on it, meanwhile.

    Raises:
        StoreUnavailable: another process kept the lock for too long.
    """
    for _ in range(round(_LONGEST_WAIT_S / _POLL_INTERVAL_S)):
        with translate():
            if await connection.fetchval(queries["lock_migration"]):
                break
        await sleep(_POLL_INTERVAL_S)
    else:
        raise StoreUnavailable(
            f"another process has been migrating the database for over {_LONGEST_WAIT_S:.0f} s",
            hint="Find it in pg_stat_activity; when it is done, run the command again.",
        )
    try:
        yield
    finally:
        # A closed connection has lost the lock already.
        if not connection.is_closed():
            with translate():
                await connection.execute(queries["unlock_migration"])


async def _apply(
    connection: Connection,
    queries: Queries,
    migration: MigrationFile,
    *,
    oldest_compatible: int,
) -> None:
    try:
        with translate():
            if not migration.transactional:
                await _run_outside_transaction(connection, queries, migration)
            async with connection.transaction():
                if migration.transactional:
                    await _limit(connection, queries, this_transaction=True)
                    await _run(connection, migration)
                # Afterwards, as the first migration may create the schema itself.
                await connection.execute(queries["create_migration"])
                await connection.execute(
                    queries["insert_migration"],
                    migration.number,
                    migration.name,
                    migration.checksum,
                    oldest_compatible,
                )
    except (StoreError, ConfigError) as error:
        raise type(error)(
            f"migration {migration.label} was not applied: {error.message}",
            hint=error.hint,
            **error.context,
        ) from error


async def _run_outside_transaction(
    connection: Connection, queries: Queries, migration: MigrationFile
) -> None:
    await _limit(connection, queries, this_transaction=False)
    try:
        await _run(connection, migration)
    finally:
        if not connection.is_closed():
            await connection.execute(queries["restore_settings"])


async def _limit(connection: Connection, queries: Queries, *, this_transaction: bool) -> None:
    await connection.execute(
        queries["limit_migration"],
        this_transaction,
        _LOCK_TIMEOUT_MS,
        str(_STEP_TIMEOUT_S * 1000),
    )


async def _run(connection: Connection, migration: MigrationFile) -> None:
    # The connection's own command_timeout is meant for pages, not for building an index.
    await connection.execute(migration.sql, timeout=_STEP_TIMEOUT_S)
