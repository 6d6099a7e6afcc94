"""
Whoever reads a model waits: a table that somebody else has locked.

Owns the lock. Never looks at what is stored.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

WAITING = """
    SELECT count(*) FROM pg_locks WHERE relation = 'scenario.models'::regclass AND NOT granted
"""


@asynccontextmanager
async def models_locked(url: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Nobody gets at the models inside the block; yields whether somebody tries."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE scenario.models IN ACCESS EXCLUSIVE MODE")

            async def is_waited_for() -> bool:
                return bool(await connection.fetchval(WAITING))

            yield is_waited_for
    finally:
        await connection.close()
