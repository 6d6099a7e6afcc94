"""
What the database's errors mean: one table from SQLSTATE and exception to ours.

Never raises, never waits, never decides what is done about an error (its class does).
Invariant: what is not in the table is a bug and stays as it is; no message carries a password or a
value that was to be stored.
Kind: edge (asyncpg's exceptions).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from syncer.errors import (
    ConfigError,
    RowUnstorable,
    SchemaMismatch,
    StoreConflict,
    StoreUnavailable,
    SyncerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[SyncerError]
    what: str
    hint: str = ""


_LOST = _Meaning(StoreUnavailable, "the connection to the database was lost")
_TIMED_OUT = _Meaning(
    StoreUnavailable,
    "the database did not answer in time",
    "Look for locks or load on the server (pg_stat_activity); progress is kept.",
)
_UNSTORABLE = _Meaning(RowUnstorable, "PostgreSQL cannot store a value")
_BEHIND = _Meaning(SchemaMismatch, "the database lacks something this build needs")
_FOREIGN = _Meaning(
    SchemaMismatch,
    "the database already holds something of that name",
    "Schemas scenario and syncer must be syncer's own: give it an empty database.",
)
_CREDENTIALS = _Meaning(
    ConfigError,
    "the database refused the log-in",
    "Check user and password in database.url or DATABASE_URL (and pg_hba.conf on the server).",
)
_NO_DATABASE = _Meaning(
    ConfigError,
    "the database does not exist",
    "Create it (CREATE DATABASE), or correct the name in database.url or DATABASE_URL.",
)

# Another process migrated meanwhile; asyncpg has dropped the statement, the next try prepares it.
_OUTDATED = _Meaning(StoreConflict, "the schema changed under a prepared statement")

_SQLSTATES: Final[Mapping[str, _Meaning]] = {
    # Five characters are one state, two are its class; the state wins.
    # https://www.postgresql.org/docs/15/errcodes-appendix.html
    "08": _LOST,
    "08P01": _Meaning(
        ConfigError,
        "the server does not take our session settings",
        "Behind a transaction pooler? Connect directly or in session mode; the lease needs it too.",
    ),
    "22": _UNSTORABLE,
    "23505": _Meaning(StoreConflict, "another transaction stored the same key first"),
    "25006": _Meaning(
        StoreUnavailable,
        "the database is read-only",
        "Is database.url that of a standby? It must name the primary (see target_session_attrs).",
    ),
    "25P03": _TIMED_OUT,
    "25P04": _TIMED_OUT,
    "28": _CREDENTIALS,
    "3D000": _NO_DATABASE,
    "3F000": _BEHIND,
    "40": _Meaning(StoreConflict, "the transaction met another one"),
    "42501": _Meaning(
        ConfigError,
        "the database user lacks a right",
        "Grant it, or use the owner of schemas scenario and syncer.",
    ),
    "42701": _FOREIGN,
    "42703": _BEHIND,
    "42710": _FOREIGN,
    "42723": _FOREIGN,
    "42883": _BEHIND,
    "42P01": _BEHIND,
    "42P06": _FOREIGN,
    "42P07": _FOREIGN,
    "53": _Meaning(StoreUnavailable, "the database is out of resources"),
    "53100": _Meaning(
        StoreUnavailable,
        "the database's disk is full",
        "Make room on the server; syncer goes on from where it stopped.",
    ),
    "53200": _Meaning(StoreUnavailable, "the database is out of memory"),
    "53300": _Meaning(
        StoreUnavailable,
        "the database has no free connection",
        "Raise max_connections on the server, or lower database.pool_size.",
    ),
    "54": _UNSTORABLE,
    # Of its causes we can only meet one: ALTER DATABASE … ALLOW_CONNECTIONS false.
    "55000": _Meaning(StoreUnavailable, "the database is closed for the time being"),
    "55P03": _Meaning(StoreUnavailable, "a lock was not free in time"),
    "57014": _TIMED_OUT,
    "57P01": _Meaning(StoreUnavailable, "the database is shutting down or ended our session"),
    "57P02": _Meaning(StoreUnavailable, "the database crashed and is restarting"),
    "57P03": _Meaning(StoreUnavailable, "the database is starting up or shutting down"),
    "57P04": _NO_DATABASE,
    "57P05": _LOST,
    "58": _Meaning(
        StoreUnavailable,
        "the database cannot use its files",
        "See the server's log: its disk may be failing.",
    ),
}

_EXCEPTIONS: Final[tuple[tuple[type[Exception], _Meaning], ...]] = (
    # The first match wins, so subclasses stand before their bases.
    (asyncpg.InvalidCachedStatementError, _OUTDATED),
    (asyncpg.OutdatedSchemaCacheError, _OUTDATED),
    (
        asyncpg.TargetServerAttributeNotMatched,
        _Meaning(StoreUnavailable, "no server matches target_session_attrs of the database URL"),
    ),
    (
        ssl.SSLCertVerificationError,
        _Meaning(
            ConfigError,
            "the database's certificate is not trusted",
            "Check sslmode and sslrootcert in database.url or DATABASE_URL.",
        ),
    ),
    (TimeoutError, _TIMED_OUT),
    (OSError, _Meaning(StoreUnavailable, "the database cannot be reached")),
)

_CLOSED_WORDS: Final = ("connection is closed", "pool is closed", "pool is closing")
"""How asyncpg's InterfaceError ends when the connection is gone: it has no class or code of its own
for that (asyncpg: protocol.pyx, pool.py, connresource.py)."""

_ENDED_WORDS: Final = "cannot switch to state"
"""What asyncpg says when the server ended an idle session and its farewell is still unread: it
takes the FATAL message for the answer to a question (asyncpg: coreproto.pyx, _set_state)."""

_QUOTED_ARGUMENT: Final = re.compile(
    r"(?P<which>invalid input for query argument [^:]*): .* \((?P<why>.*)\)"
)
"""asyncpg's own complaint about a value; it quotes the value between the two parts."""

_QUOTED_VALUE: Final = re.compile(r': ".*"$')
"""The server's: ``invalid input syntax for type integer: "the value"``."""

_LONGEST_MESSAGE: Final = 300


def classify(error: Exception) -> SyncerError | None:
    """The error of ours that a third-party exception amounts to; None for a bug."""
    for kind, meaning in _EXCEPTIONS:
        if isinstance(error, kind):
            return _build(meaning, error)
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        found = _SQLSTATES.get(state) or _SQLSTATES.get(state[:2])
        return _build(found, error, sqlstate=state) if found else None
    # InterfaceError is both our misuse, a bug, and a connection that broke earlier.
    closed = isinstance(error, asyncpg.InterfaceError) and str(error).endswith(_CLOSED_WORDS)
    return _build(_LOST, error) if closed or _was_ended(error) else None


def _was_ended(error: BaseException | None) -> bool:
    """Whether asyncpg tripped over the farewell of a session, now or before it failed to roll back.

    Nothing else makes it confuse its own states; the connection is gone either way.
    """
    while error is not None:
        if isinstance(error, asyncpg.InternalClientError) and _ENDED_WORDS in str(error):
            return True
        error = error.__context__ if isinstance(error, asyncpg.InterfaceError) else None
    return False


def _build(meaning: _Meaning, error: Exception, **context: object) -> SyncerError:
    said = _said_by(error)
    message = f"{meaning.what}: {said}" if said else meaning.what
    return meaning.error(message, hint=meaning.hint, **context)


def _said_by(error: Exception) -> str:
    """What the server said, in one line, without values: DETAIL and HINT, which quote them, too."""
    text = str(error.args[0]) if len(error.args) == 1 else str(error)
    line = " ".join(text.split("\n", 1)[0].split())
    line = _QUOTED_ARGUMENT.sub(r"\g<which>: \g<why>", line)
    return _QUOTED_VALUE.sub("", line)[:_LONGEST_MESSAGE].rstrip(". ")
