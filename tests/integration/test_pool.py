"""Session settings, JSON codecs and the translation of errors, against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.command import until
from support.interrupt import When, run_cancelled

from syncer.errors import (
    ConfigError,
    LeaseLost,
    RowUnstorable,
    SchemaMismatch,
    StoreConflict,
    StoreUnavailable,
    SyncerError,
)
from syncer.store.pool import open_connection, open_pool, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "statement_timeout_s": 5,
        "idle_in_transaction_timeout_s": 5,
        "application_name": "syncer test",
    } | changes


@asynccontextmanager
async def pool_of(url: str, **changes: Any) -> AsyncIterator[Any]:
    pool = await open_pool(url, **(settings(size=2) | changes))
    try:
        yield pool
    finally:
        pool.terminate()


@pytest.fixture(name="connection")
async def open_one(database_url: str) -> AsyncIterator[Any]:
    connection = await open_connection(database_url, **settings())
    yield connection
    await connection.close()


def refuse_all(state: str, message: str) -> str:
    """A statement that fails as the server would."""
    return f"DO $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{state}'; END $$"


async def test_settings_outlive_a_return_to_the_pool(database_url: str) -> None:
    """They come with the log-in; what a transaction sets is its own, so nothing has to be reset."""
    async with pool_of(
        database_url, size=1, statement_timeout_s=1.5, idle_in_transaction_timeout_s=2.5
    ) as pool:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL search_path = public")
            await connection.execute("SELECT set_config('statement_timeout', '0', true)")
        async with pool.acquire() as connection:
            shown = {
                name: await connection.fetchval(f"SHOW {name}")
                for name in (
                    "statement_timeout",
                    "idle_in_transaction_session_timeout",
                    "timezone",
                    "search_path",
                    "application_name",
                    "default_transaction_isolation",
                )
            }

    assert shown == {
        "statement_timeout": "1500ms",
        "idle_in_transaction_session_timeout": "2500ms",
        "timezone": "UTC",
        "search_path": "scenario, syncer",
        "application_name": "syncer test",
        "default_transaction_isolation": "read committed",
    }


async def test_a_pool_opens_one_connection_and_never_more_than_its_size(database_url: str) -> None:
    async with pool_of(database_url, size=2) as pool:
        assert pool.get_size() == 1
        async with pool.acquire(), pool.acquire():
            with pytest.raises(StoreUnavailable), translate():
                await pool.acquire(timeout=0.01)
            assert pool.get_size() == 2


@pytest.mark.parametrize("kind", ["json", "jsonb"])
@pytest.mark.parametrize("value", ['{"a": "\u00e9\U0001f600"}', '{"a": "\u00e9"}'.encode(), "1"])
async def test_json_travels_as_text_and_comes_back_as_bytes(
    connection: Any, kind: str, value: str | bytes
) -> None:
    text = value.encode() if isinstance(value, str) else value

    assert await connection.fetchval(f"SELECT $1::{kind}", value) == text
    assert await connection.fetchval(f"SELECT $1::{kind}[]", [value, None]) == [text, None]
    assert await connection.fetchval(f"SELECT NULL::{kind}") is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("08006", StoreUnavailable),
        ("08P01", ConfigError),
        ("22003", RowUnstorable),
        ("22008", RowUnstorable),
        ("22021", RowUnstorable),
        ("22P02", RowUnstorable),
        ("22P05", RowUnstorable),
        ("23505", StoreConflict),
        ("25006", StoreUnavailable),
        ("25P03", StoreUnavailable),
        ("28000", ConfigError),
        ("28P01", ConfigError),
        ("3D000", ConfigError),
        ("3F000", SchemaMismatch),
        ("40001", StoreConflict),
        ("40P01", StoreConflict),
        ("42501", ConfigError),
        ("42703", SchemaMismatch),
        ("42P01", SchemaMismatch),
        ("42P07", SchemaMismatch),
        ("53100", StoreUnavailable),
        ("53200", StoreUnavailable),
        ("53300", StoreUnavailable),
        ("53400", StoreUnavailable),
        ("54000", RowUnstorable),
        ("55000", StoreUnavailable),
        ("55P03", StoreUnavailable),
        ("57014", StoreUnavailable),
        ("57P01", StoreUnavailable),
        ("57P02", StoreUnavailable),
        ("57P03", StoreUnavailable),
        ("58030", StoreUnavailable),
    ],
)
async def test_what_the_server_reports_has_a_verdict(
    connection: Any, state: str, expected: type[SyncerError]
) -> None:
    with pytest.raises(expected, match="it said so") as caught, translate():
        await connection.execute(refuse_all(state, "it said so"))

    assert type(caught.value) is expected
    assert caught.value.context["sqlstate"] == state
    assert isinstance(caught.value.__cause__, asyncpg.PostgresError)


@pytest.mark.parametrize("state", ["42601", "23514", "23502", "XX000", "0A000", "P0001"])
async def test_what_is_a_bug_stays_what_it_is(connection: Any, state: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="it said so"), translate():
        await connection.execute(refuse_all(state, "it said so"))


async def test_our_own_errors_pass_unchanged() -> None:
    lost = LeaseLost("gone")

    with pytest.raises(LeaseLost) as caught, translate():
        raise lost

    assert caught.value is lost


async def test_a_statement_that_runs_too_long_is_stopped_by_the_server(database_url: str) -> None:
    connection = await open_connection(database_url, **settings(statement_timeout_s=0.02))

    with (
        pytest.raises(StoreUnavailable, match=r"did not answer in time.*statement timeout"),
        translate(),
    ):
        await connection.execute("SELECT pg_sleep(10)")

    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_killed_session_is_unavailable_now_and_afterwards(
    connection: Any, database_url: str
) -> None:
    other = await open_connection(database_url, **settings())
    pid = other.get_server_pid()
    assert await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)

    for _ in range(2):
        with pytest.raises(StoreUnavailable), translate():
            await other.fetchval("SELECT 1")


async def test_a_session_killed_inside_a_transaction_is_unavailable(
    connection: Any, database_url: str
) -> None:
    async def die_in_transaction(pool: Any) -> None:
        with translate():
            async with pool.acquire() as other, other.transaction():
                pid = other.get_server_pid()
                await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
                await other.fetchval("SELECT 1")

    async with pool_of(database_url) as pool:
        with pytest.raises(StoreUnavailable):
            await die_in_transaction(pool)

        async with pool.acquire() as fresh:
            assert await fresh.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("when", ["while", "after"])
@pytest.mark.parametrize("opening", [open_connection, open_pool])
async def test_an_opening_that_is_cancelled_anywhere_leaves_no_session(
    database_url: str, connection: Any, when: When, opening: Any
) -> None:
    limits: dict[str, Any] = {"statement_timeout_s": 5, "idle_in_transaction_timeout_s": 5}
    size = {"size": 2} if opening is open_pool else {}

    async def no_session() -> bool:
        return await connection.fetchval(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'cancelled')"
        )

    async def open_and_end() -> None:
        opened = await opening(database_url, application_name="cancelled", **limits, **size)
        opened.terminate()

    got_there, number = True, 0
    while got_there:
        number += 1
        got_there, _ = await run_cancelled(open_and_end(), number, when)

        await until(no_session, f"no session after wait {number}", within_s=5)


async def test_using_a_closed_pool_is_unavailable(database_url: str) -> None:
    pool = await open_pool(database_url, **settings(size=1))
    await pool.close()

    with pytest.raises(StoreUnavailable, match="pool is closed"), translate():
        await pool.acquire()


async def test_misusing_a_connection_is_a_bug(connection: Any) -> None:
    async def overlap() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(connection.execute("SELECT pg_sleep(0.05)"))
            group.create_task(connection.execute("SELECT 1"))

    with pytest.raises(ExceptionGroup) as caught, translate():
        await overlap()

    assert caught.group_contains(asyncpg.InterfaceError, match="another operation")


@pytest.mark.parametrize(
    ("sql", "value", "said"),
    [
        ("SELECT $1::text", "secret\ud800", "surrogates not allowed"),
        ("SELECT $1::text", "secret\0", "invalid byte sequence"),
        ("SELECT $1::jsonb", '{"secret": "\\u0000"}', "unsupported Unicode escape sequence"),
        ("SELECT $1::integer", "secret", "cannot be interpreted as an integer"),
        ("SELECT $1::text::integer", "secret", "invalid input syntax for type integer"),
        ("SELECT $1::jsonb", '{"secret": 1', "invalid input syntax for type json"),
        ("SELECT $1::timestamptz", "secret", "expected a datetime"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_explained_but_not_quoted(
    connection: Any, sql: str, value: str, said: str
) -> None:
    with pytest.raises(RowUnstorable, match=said) as caught, translate():
        await connection.fetchval(sql, value)

    assert "secret" not in str(caught.value)


async def test_a_schema_changed_by_another_process_is_a_conflict_that_a_retry_mends(
    connection: Any, database_url: str
) -> None:
    other = await open_connection(database_url, **settings())
    await other.execute("CREATE TABLE public.t (a integer); INSERT INTO public.t VALUES (1)")
    sql = "SELECT * FROM public.t"
    await connection.fetch(sql)
    await other.execute("ALTER TABLE public.t ALTER COLUMN a TYPE text")
    await other.close()

    async def read_in_transaction() -> Any:
        with translate():
            async with connection.transaction():
                return await connection.fetchval(sql)

    with pytest.raises(StoreConflict, match="schema changed"):
        await read_in_transaction()
    assert await read_in_transaction() == "1"


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            await open_pool(
                f"postgresql://user:hunter2@127.0.0.1:{port}/nothing", **settings(size=1)
            )

    assert "hunter2" not in str(caught.value)


async def test_a_server_that_accepts_and_stays_silent_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]

        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await open_connection(
                f"postgresql://user@127.0.0.1:{port}/nothing?sslmode=disable",
                **settings(connect_timeout_s=0.05),
            )


async def test_a_database_that_does_not_exist_is_a_configuration_error(database_url: str) -> None:
    path = urlsplit(database_url).path
    url = database_url.replace(path, "/no_such_database", 1)

    with pytest.raises(ConfigError, match=r"no_such_database.*CREATE DATABASE"):
        await open_pool(url, **settings(size=1))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2#x@localhost/db",
        "postgresql://user:hunter2@localhost:port/db",
        "mysql://user:hunter2@localhost/db",
        "postgresql://user:hunter2@localhost/db?sslmode=sometimes",
        "postgresql://user:hunter2@[::1/db",
    ],
)
async def test_a_url_that_cannot_be_read_is_a_configuration_error_without_the_password(
    url: str,
) -> None:
    with pytest.raises(ConfigError, match="database URL") as caught:
        await open_pool(url, **settings(size=1))

    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_an_untrusted_certificate_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="certificate is not trusted"), translate():
        raise ssl.SSLCertVerificationError(1, "self-signed certificate")
