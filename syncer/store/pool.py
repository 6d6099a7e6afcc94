"""
Open connections to the database, one or a pool of them.

Owns the session settings, the JSON codecs and the boundary at which asyncpg's exceptions become
ours. Never retries, never holds SQL.
Invariant: every connection of the program runs under the same settings, and no message carries a
password.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from syncer.errors import ConfigError, SyncerError
from syncer.store.sqlstate import classify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from asyncpg.pool import PoolConnectionProxy

# Strings: asyncpg's classes take no parameters at run time.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""What every function of the store accepts: a connection of its own, or one of the pool's."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT_S: Final = 10.0
"""Name look-up, TCP, TLS and log-in together."""

GOODBYE_S: Final = 2.0
"""For closing a connection; what does not answer by then is cut."""

_CLIENT_GRACE_S: Final = 5.0
"""How much longer than the server's statement_timeout we wait, at most, and never more than as long
again: its answer would name the cause, but where none comes a lease runs out meanwhile."""

_JSONB_VERSION: Final = b"\x01"
"""First byte of jsonb on the wire (PostgreSQL source, jsonb_recv)."""

_URL_HINT: Final = (
    "The form is postgresql://user:password@host:port/database; special characters in the "
    "password are percent-encoded. Check database.url or DATABASE_URL with 'syncer check'."
)


async def open_pool(
    url: str,
    *,
    size: int,
    statement_timeout_s: float,
    idle_in_transaction_timeout_s: float,
    application_name: str,
) -> Pool:
    """A pool of at most ``size`` connections, one of them opened at once to prove that it can be.

    jsonb and json travel as JSON text: ``bytes`` or ``str`` in, ``bytes`` out, never decoded here.

    Raises:
        ConfigError: the URL, the user, the password or the database is wrong.
        StoreUnavailable: the database does not answer.
    """
    with _translate_opening():
        pool = await asyncpg.create_pool(
            url,
            # With a minimum asyncpg logs a traceback each few seconds while the database is away.
            min_size=0,
            max_size=size,
            init=_pass_json_through,
            reset=_leave_as_it_is,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=_client_limit_s(statement_timeout_s),
            server_settings=_session_settings(
                statement_timeout_s=statement_timeout_s,
                idle_in_transaction_timeout_s=idle_in_transaction_timeout_s,
                application_name=application_name,
            ),
        )
        is_open = False
        try:
            async with pool.acquire():
                is_open = True
        except BaseException:
            if is_open:
                # Cancelled while it was given back; that has to end before the pool can.
                await pool.close()
            pool.terminate()
            raise
        return pool


@asynccontextmanager
async def connected(
    url: str, *, limit_s: float, application_name: str, read_only: bool = False
) -> AsyncIterator[Connection]:
    """A connection of its own until the block ends; as ``open_connection``.

    ``limit_s``: for one statement, and for a pause inside a transaction.
    """
    connection = await open_connection(
        url,
        statement_timeout_s=limit_s,
        idle_in_transaction_timeout_s=limit_s,
        application_name=application_name,
        read_only=read_only,
    )
    try:
        yield connection
    finally:
        # A server that is gone says no goodbye.
        with suppress(OSError, TimeoutError):
            await connection.close(timeout=GOODBYE_S)


async def open_connection(
    url: str,
    *,
    statement_timeout_s: float,
    idle_in_transaction_timeout_s: float,
    application_name: str,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    read_only: bool = False,
) -> Connection:
    """A connection of its own under the same settings as the pool's; the caller closes it.

    Args:
        url: of the database.
        statement_timeout_s: for one statement.
        idle_in_transaction_timeout_s: for a pause inside a transaction.
        application_name: what the server shows.
        connect_timeout_s: for name look-up, TCP, TLS and log-in together.
        read_only: each transaction is, unless it says otherwise.

    Raises:
        ConfigError: the URL, the user, the password or the database is wrong.
        StoreUnavailable: the database does not answer.
    """
    with _translate_opening():
        connection: Connection = await asyncpg.connect(
            url,
            timeout=connect_timeout_s,
            command_timeout=_client_limit_s(statement_timeout_s),
            server_settings=_session_settings(
                statement_timeout_s=statement_timeout_s,
                idle_in_transaction_timeout_s=idle_in_transaction_timeout_s,
                application_name=application_name,
            )
            | ({"default_transaction_read_only": "on"} if read_only else {}),
        )
        with ExitStack() as unless_ready:
            unless_ready.callback(connection.terminate)
            await _pass_json_through(connection)
            unless_ready.pop_all()
        return connection


def refuses_writes(connection: Connection) -> bool:
    """Whether the server is a standby, or makes transactions read-only; it says so by itself."""
    told = connection.get_settings()
    names = ("in_hot_standby", "default_transaction_read_only")
    return any(getattr(told, name, "off") == "on" for name in names)


@contextmanager
def translate() -> Iterator[None]:
    """Turn the exceptions of asyncpg and the socket into ours; leave bugs as they are.

    A rollback that fails while a task is being cancelled would stand in for the cancellation, and
    whoever retries would never hear of it: the cancellation wins.
    """
    try:
        yield
    except SyncerError:
        raise
    except Exception as error:
        translated = classify(error)
        if translated is None:
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise translated from error


@contextmanager
def _translate_opening() -> Iterator[None]:
    try:
        with translate():
            yield
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ConfigError(f"the database URL is not usable: {error}", hint=_URL_HINT) from None
    except ValueError:
        # From taking the URL apart. "from None": the message may quote a piece of the password.
        raise ConfigError(
            "the database URL cannot be read as a PostgreSQL address", hint=_URL_HINT
        ) from None


def _session_settings(
    *, statement_timeout_s: float, idle_in_transaction_timeout_s: float, application_name: str
) -> dict[str, str]:
    """Sent with the log-in, so that they hold for as long as it lives."""
    return {
        "application_name": application_name,
        # The views and the tables; never "public", where anybody may put a function.
        "search_path": "scenario, syncer",
        "timezone": "UTC",
        # Our fences rely on a lock seeing the newest row version.
        "default_transaction_isolation": "read committed",
        "statement_timeout": _milliseconds(statement_timeout_s),
        "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_timeout_s),
        # Compiling costs more than any of our statements.
        "jit": "off",
        # With arguments, a table that was never analysed (a first backfill) looks as if a catalog
        # were a hundred rows of it: each page would read all of them, not its own ids.
        "plan_cache_mode": "force_generic_plan",
    }


def _client_limit_s(statement_timeout_s: float) -> float:
    return statement_timeout_s + min(statement_timeout_s, _CLIENT_GRACE_S)


def _milliseconds(seconds: float) -> str:
    # At least 1: 0 would mean no limit.
    return str(max(1, round(seconds * 1000)))


async def _leave_as_it_is(_connection: Connection) -> None:
    """What we set is set for a transaction, so no statement has to undo it on each release."""


async def _pass_json_through(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda text: _JSONB_VERSION + _to_bytes(text),
        decoder=lambda data: bytes(data[1:]),
        format="binary",
    )
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        encoder=_to_bytes,
        decoder=bytes,
        format="binary",
    )


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
