"""
Whoever reads a model waits: a table that somebody else has locked.

Owns the lock. Never looks at what is stored.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

WAITING = """
    SELECT count(*) FROM pg_locks WHERE relation = 'scenario.models'::regclass AND NOT granted
"""


def models_locked(url: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[bool]]]:
    """Nobody gets at the models inside the block; yields whether somebody tries."""
    return _locked(url, "ACCESS EXCLUSIVE")


def writes_held_up(url: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[bool]]]:
    """Nobody writes a model inside the block, and all may read; yields whether somebody tries."""
    return _locked(url, "SHARE")


@asynccontextmanager
async def _locked(url: str, mode: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE scenario.models IN {mode} MODE")

            async def is_waited_for() -> bool:
                return bool(await connection.fetchval(WAITING))

            yield is_waited_for
    finally:
        await connection.close()
