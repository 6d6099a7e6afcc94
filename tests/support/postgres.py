"""
PostgreSQL for the tests: one server for all workers, one fresh database per test.

Owns creating and dropping databases. Never skips: without a server the suite fails.
Everything is callable from synchronous code, because pytest-asyncio's loop lives as long as one
test and a server lives as long as the session.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import asyncpg

from syncer.clock import SystemClock
from syncer.embedded import embedded_postgres

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

T = TypeVar("T")

THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings for a server that nobody will miss."""


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine in a loop of its own that leaves the test's loop alone."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


@contextlib.contextmanager
def shared_server(data_dir: Path) -> Iterator[str]:
    """A throw-away server, shared with every process that names the same directory.

    Yields:
        the URL of a database from which others can be created.
    """
    server = embedded_postgres(
        data_dir, clock=SystemClock(), settings={**THROW_AWAY, "max_connections": "200"}
    )
    # One runner for both ends: asyncio.run would close the suspended generator in between.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        dsn = runner.run(server.__aenter__()).dsn
        try:
            yield dsn
        finally:
            runner.run(server.__aexit__(None, None, None))


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    # Not urlunsplit: it drops the slashes of a URL without a host (postgresql:///name?host=…).
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")


def unique_name(prefix: str) -> str:
    """A database name that no other worker or run uses."""
    return f"{prefix}_{secrets.token_hex(6)}"


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def fresh_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """An own database, dropped afterwards whoever is still connected to it."""
    name = unique_name("syncer_test")
    run_apart(execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield with_database(server_url, name)
    finally:
        run_apart(execute(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def migrate_url(url: str) -> None:
    """Bring a database to this build's schema."""
    from syncer.store.migrate import migrate  # noqa: PLC0415 - tests without a schema need none

    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()
