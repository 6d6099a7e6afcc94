"""
Look at the database: reachable, new enough, migrated, and ours to write?

Owns the order of these questions and their remedies. Never migrates, and makes no database.
Invariant: what is wrong is in the report, never only in the log.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from syncer.checkup.report import DatabaseReport
from syncer.config import Settings
from syncer.database import open_database, open_reader
from syncer.domain import Clock
from syncer.embedded import has_cluster
from syncer.errors import ConfigError, SchemaMismatch, StoreUnavailable, SyncerError
from syncer.store.migrate import MigrationState, read_state
from syncer.store.pool import Connection
from syncer.store.queries import Queries
from syncer.store.server import ServerFacts, describe_server, list_missing_rights


@dataclass(frozen=True, slots=True)
class Found:
    """A report, and the connection that it was made over."""

    report: DatabaseReport
    connection: Connection | None
    """``None`` unless the database has the whole schema and lets us write."""


async def look_at_database(
    stack: contextlib.AsyncExitStack, settings: Settings, queries: Queries, *, clock: Clock
) -> Found:
    """Look, and leave the connection open on ``stack``."""
    report = _unknown(settings)
    if report.kind == "embedded" and not has_cluster(settings.database.data_dir):
        note = "not made yet: the first command that mirrors something makes it"
        return Found(replace(report, schema="absent", note=note), None)
    try:
        database = await stack.enter_async_context(open_database(settings, clock=clock))
        connection = await stack.enter_async_context(open_reader(settings, database.url))
        server = await describe_server(connection, queries)
        report = replace(report, server_version=server.version, has_lz4=server.has_lz4)
        state = await read_state(connection)
        missing = await list_missing_rights(connection, queries)
    except SyncerError as error:
        schema = "mismatched" if isinstance(error, SchemaMismatch) else report.schema
        problem = _with_place(error, report)
        return Found(replace(report, schema=schema, note="", problems=(problem,)), None)
    report = replace(
        report,
        schema=_schema(state),
        note=_note(settings, state),
        applied=state.applied[-1] if state.applied else None,
        needed=state.newest_known,
        missing_rights=missing,
        problems=_problems(settings, server, state, missing),
        warnings=_warnings(state),
    )
    is_usable = not (state.pending or missing or server.is_read_only)
    return Found(report, connection if is_usable else None)


def _unknown(settings: Settings) -> DatabaseReport:
    if settings.database.url:
        return DatabaseReport("url", settings.database.safe_url, "unreachable")
    return DatabaseReport("embedded", str(settings.database.data_dir), "unreachable")


def _with_place(error: SyncerError, report: DatabaseReport) -> SyncerError:
    return type(error)(
        f"{error.message} (database {report.where})", hint=error.hint, **error.context
    )


def _schema(state: MigrationState) -> str:
    if state.pending:
        return "pending" if state.applied else "empty"
    return "ahead" if state.ahead else "current"


def _note(settings: Settings, state: MigrationState) -> str:
    if not state.pending:
        return ""
    steps = f"{len(state.pending)} migrations to apply"
    if settings.database.migrate == "auto":
        return f"{steps}; the next command that writes applies them (database.migrate = 'auto')"
    return steps


def _problems(
    settings: Settings, server: ServerFacts, state: MigrationState, missing: tuple[str, ...]
) -> tuple[SyncerError, ...]:
    problems: list[SyncerError] = []
    if server.is_read_only:
        problems.append(
            StoreUnavailable(
                "the database is read-only",
                hint="Is database.url that of a standby? It must name the primary; else unset "
                "default_transaction_read_only for our user.",
            )
        )
    if state.pending and settings.database.migrate == "manual":
        at = f"at migration {state.applied[-1]:04d}" if state.applied else "empty"
        problems.append(
            SchemaMismatch(
                f"the database is {at}, this build needs {state.newest_known:04d}, and "
                "database.migrate is 'manual'"
            )
        )
    if state.pending and settings.database.migrate == "auto" and not server.may_migrate:
        problems.append(
            ConfigError(
                "the database user may not create what the schema needs",
                hint="Grant it CREATE on the database (and on schemas scenario and syncer if they "
                "are there), or run 'syncer migrate' as their owner.",
            )
        )
    if missing:
        problems.append(
            ConfigError(
                f"the database user lacks rights: {_few(missing)}",
                hint="Grant them, or use the owner of schemas scenario and syncer.",
            )
        )
    return tuple(problems)


def _few(names: tuple[str, ...], shown: int = 4) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _warnings(state: MigrationState) -> tuple[str, ...]:
    if not state.ahead:
        return ()
    numbers = f"at migration {state.applied[-1]:04d}, this build knows {state.newest_known:04d}"
    said = f"the database is {numbers}: a newer syncer has been here; this one still works with it"
    return (said,)
