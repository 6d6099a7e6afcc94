"""
A connection of one's own, whose session shows that this process lives.

Owns opening it anew after it broke, taking turns on it, and closing it. Never asks anything itself.
Invariant: one statement at a time; what belongs to a session is made again with each new one.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from syncer.errors import StoreUnavailable
from syncer.store.pool import CONNECT_TIMEOUT_S, open_connection, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from syncer.store.pool import Connection

_CLOSE_TIMEOUT_S: Final = 1.0


class OwnSession:
    """Opened when it is first needed.

    Args:
        url: of the database; direct, or through a session pooler.
        name: what the server shows (``application_name``).
        limit_s: how long one statement, or a pause inside a transaction, may take.
        on_open: called with each new connection before anybody else has it.
    """

    def __init__(
        self,
        *,
        url: str,
        name: str,
        limit_s: float,
        on_open: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._url = url
        self._name = name
        self._limit_s = limit_s
        self._on_open = on_open
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    @property
    def was_opened(self) -> bool:
        """Whether there is anything to close."""
        return self._connection is not None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """The connection, for one at a time; opened anew after it broke.

        Raises:
            StoreUnavailable: the database did not answer; the next one gets a new connection.
        """
        async with self._turn:
            try:
                with translate():
                    yield await self._reuse_or_open()
            except StoreUnavailable:
                # A connection that timed out may still be busy with the old statement.
                if self._connection is not None:
                    self._connection.terminate()
                raise

    async def close(self) -> None:
        """Close the connection; whoever looks then sees that we are gone."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            with translate():
                await connection.close(timeout=_CLOSE_TIMEOUT_S)
        except StoreUnavailable:
            # Nothing is lost by not saying goodbye.
            connection.terminate()

    async def _reuse_or_open(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await open_connection(
                self._url,
                statement_timeout_s=self._limit_s,
                idle_in_transaction_timeout_s=self._limit_s,
                application_name=self._name,
                connect_timeout_s=min(self._limit_s, CONNECT_TIMEOUT_S),
            )
            await self._on_open(self._connection)
        return self._connection
