"""
COPY rows into the mirror, and wait for it only as long as there is a connection.

Owns a workaround for asyncpg, whose COPY waits for room in a buffer that nobody empties any more.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from syncer.store.pool import Connection
from syncer.store.rows import ROW_COLUMNS


async def copy_rows(connection: Connection, chunks: Iterable[bytes], *, limit_s: float) -> None:
    """Write rows (``syncer.store.binary``) to ``scenario.models``.

    Each chunk is asked for when the one before it is on its way.

    Raises:
        TimeoutError: as ``while_connected``.
    """

    async def one_by_one() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async with while_connected(connection, limit_s=limit_s):
        await connection.copy_to_table(
            "models",
            schema_name="scenario",
            columns=ROW_COLUMNS,
            format="binary",
            source=one_by_one(),
        )


@contextlib.asynccontextmanager
async def while_connected(connection: Connection, *, limit_s: float) -> AsyncIterator[None]:
    """Do not wait for a connection that is gone.

    asyncpg's COPY waits for room in its buffer, and nobody wakes it when the connection is lost
    meanwhile; the server's own limit goes with the server.

    Raises:
        TimeoutError: it is gone, or ``limit_s`` has passed; the connection is closed.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit_s) as limit:
        writing = True

        def give_up(_connection: object) -> None:
            # Listeners are called later, maybe when the wait is over.
            if writing:
                limit.reschedule(loop.time())

        connection.add_termination_listener(give_up)
        try:
            yield
        except asyncio.CancelledError:
            # In the middle of a COPY the connection can carry nothing else, not even a rollback.
            connection.terminate()
            raise
        finally:
            writing = False
            connection.remove_termination_listener(give_up)
