"""
Wait for a COPY only as long as there is a connection.

Owns a workaround for asyncpg, whose COPY waits for room in a buffer that nobody empties any more.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from syncer.store.pool import Connection


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
