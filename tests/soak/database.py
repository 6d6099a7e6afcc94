"""
A real PostgreSQL that can be taken away and brought back.

Owns the embedded server of a soak run. Nothing is made less durable: it is killed without notice.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from syncer.clock import SystemClock
from syncer.embedded import embedded_postgres

LOOK_S = 0.05
WAL_BYTES = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"


@dataclass(frozen=True)
class Database:
    """The server of one soak run."""

    url: str
    data_dir: Path

    async def restart(self, signum: signal.Signals, *, away_s: float) -> None:
        """End it as an administrator does (SIGINT), or at once (SIGQUIT), and start it again."""
        for pid in self._postmasters():
            os.kill(pid, signum)
        while self._postmasters():
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(away_s)
        async with embedded_postgres(self.data_dir, clock=SystemClock(), keep=True):
            pass

    async def value(self, statement: str) -> Any:
        """The only value of a statement; ``None`` while the server is away."""
        try:
            connection = await asyncpg.connect(self.url, timeout=5)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError):
            return None

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        """All rows of a statement."""
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    def _postmasters(self) -> list[int]:
        files = self.data_dir.rglob("postmaster.pid")
        return [int(each.read_text(encoding="utf-8").split("\n", 1)[0]) for each in files]


@contextlib.asynccontextmanager
async def database(data_dir: Path) -> AsyncIterator[Database]:
    """A server that is gone when the block ends."""
    async with embedded_postgres(data_dir, clock=SystemClock()) as server:
        yield Database(server.dsn, data_dir)
