"""
The PostgreSQL server that all contenders share, with a fresh database for each run.

Owns the server, its databases, and what can be read of it: CPU of all its processes, WAL, rows
written. Its settings are those of a user: nothing is made less durable.
Kind: edge (asyncpg, processes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import psutil

from syncer.clock import SystemClock
from syncer.embedded import embedded_postgres
from syncer.store.migrate import migrate

T = TypeVar("T")

DATABASE = "syncer_bench"


@dataclass(frozen=True)
class Server:
    """A server that accepts connections."""

    dsn: str
    runner: asyncio.Runner
    postmaster: psutil.Process
    version: str

    def fresh(self, name: str = DATABASE, *, schema: bool = True) -> str:
        """The URL of a new, empty database; the one of that name is dropped."""
        url = with_database(self.dsn, name)
        self.execute(self.dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.execute(self.dsn, f"CREATE DATABASE {name}")
        if schema:
            self.runner.run(_migrate(url))
        self.execute(self.dsn, "CHECKPOINT")
        return url

    def execute(self, url: str, *statements: str) -> None:
        """Run statements one by one, each in a transaction of its own."""
        self.runner.run(_execute(url, statements))

    def value(self, url: str, statement: str, *arguments: Any) -> Any:
        """The only value of a statement."""
        return self.runner.run(_value(url, statement, arguments))

    def cpu_s(self) -> float:
        """CPU seconds of all processes of the server so far, those that have ended included."""
        total = _cpu_s(self.postmaster, ended_children=True)
        for child in self.postmaster.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += _cpu_s(child)
        return total

    def wal_bytes(self) -> int:
        """Bytes of WAL that the server has ever written."""
        position = "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        return int(self.value(self.dsn, f"SELECT {position}"))

    def rows_written(self, url: str, schema: str) -> int:
        """Rows inserted, updated and deleted in a schema, as the statistics count them."""
        return int(
            self.value(
                url,
                "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint"
                " FROM pg_stat_user_tables WHERE schemaname = $1",
                schema,
            )
        )


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")


@contextlib.contextmanager
def server(data_dir: Path) -> Iterator[Server]:
    """The server that ``SYNCER_TEST_DSN`` names, on this machine, or an embedded one."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        dsn = os.environ.get("SYNCER_TEST_DSN") or stack.enter_context(_embedded(runner, data_dir))
        postmaster_pid, version = runner.run(_introduce(dsn))
        yield Server(dsn, runner, psutil.Process(postmaster_pid), version)


@contextlib.contextmanager
def _embedded(runner: asyncio.Runner, data_dir: Path) -> Iterator[str]:
    started = embedded_postgres(data_dir, clock=SystemClock())
    # One runner for both ends: asyncio.run would close the suspended generator in between.
    dsn = runner.run(_enter(started)).dsn
    try:
        yield dsn
    finally:
        runner.run(_leave(started))


async def _enter(started: contextlib.AbstractAsyncContextManager[T]) -> T:
    return await started.__aenter__()


async def _leave(started: contextlib.AbstractAsyncContextManager[T]) -> None:
    await started.__aexit__(None, None, None)


def _cpu_s(process: psutil.Process, *, ended_children: bool = False) -> float:
    times = process.cpu_times()
    total = times.user + times.system
    if ended_children:
        total += times.children_user + times.children_system
    return float(total)


async def _introduce(dsn: str) -> tuple[int, str]:
    # The backend has to live for its parent to be found.
    connection = await asyncpg.connect(dsn)
    try:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        postmaster = psutil.Process(pid).ppid()
        return postmaster, str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _value(url: str, statement: str, arguments: tuple[Any, ...]) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()
