"""
Share one request budget among the processes of one database.

Owns ``syncer.budget`` and ``syncer.allowance``, and the one connection that shows that this process
lives. Never decides who gets what (``syncer.tokens``), never sends.
Invariant: a move is stored whole, and only if nothing was agreed since the snapshot that it was
worked out from.

The connection's session keeps an advisory lock for as long as it lives; without it any process may
write us down as dead. So each connection first takes it, and is registered by the move that
follows. As for leases, the connection is direct or through a session pooler.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from syncer.errors import StoreConflict
from syncer.store.session import OwnSession
from syncer.tokens import Holder, Rate, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from syncer.store.pool import Connection
    from syncer.store.queries import Queries
    from syncer.tokens import Move

_TRIES: Final = 5
"""Of taking our lock while others look whether it is taken, each for less than a millisecond."""


class BudgetLedger:
    """What the processes that ask one source agree on; opened when it is first needed.

    Args:
        url: of the database.
        source: what the budget belongs to.
        holder: the name of this process; no other has it.
        statement_timeout_s: how long one look may take.
        queries: the named statements.
    """

    is_shared = True

    def __init__(
        self, *, url: str, source: str, holder: str, statement_timeout_s: float, queries: Queries
    ) -> None:
        queries.require("read_budget", "move_budget", "leave_budget")
        self._source = source
        self._holder = holder
        self._queries = queries
        self._session = OwnSession(
            url=url, name="syncer budget", limit_s=statement_timeout_s, on_open=self._begin
        )
        self._is_shown = False
        self._is_registered = False

    async def read(self, *, is_asking: bool) -> Snapshot:
        """What is agreed now; writes nothing.

        Raises:
            StoreUnavailable: the database did not answer.
            StoreConflict: others look again and again whether we live; ask again.
        """
        for _ in range(_TRIES):
            async with self._session.connected() as connection:
                rows = await connection.fetch(
                    self._queries["read_budget"],
                    self._source,
                    self._holder,
                    not self._is_shown,
                    is_asking,
                )
                self._is_shown = self._is_shown or rows[0]["is_shown"]
                if self._is_shown:
                    return self._snapshot_of(rows)
        raise StoreConflict("others look at each moment whether this process lives")

    async def write(self, move: Move) -> bool:
        """Store a move; False if others were quicker.

        Raises:
            StoreUnavailable: it is unknown whether it was stored; read again.

        Cancel-safe: yes, as above.
        """
        rate = move.rate
        async with self._session.connected() as connection:
            if not self._is_shown:
                # The connection is new: what was read over the last one may be void.
                return False
            held = await connection.fetchval(
                self._queries["move_budget"],
                self._source,
                move.version,
                self._holder,
                move.held,
                move.wanted,
                move.limit,
                move.granted,
                list(move.returned_s),
                list(move.dead),
                list(move.buried),
                None if rate is None else rate.resume_s,
                None if rate is None else rate.reduced,
                None if rate is None else rate.storms,
            )
            self._is_registered = self._is_registered or held is not None
        return held is not None

    async def leave(self, returned_s: Sequence[float]) -> None:
        """Hold nothing any more; nothing happens if nothing ever was.

        Raises:
            StoreUnavailable: the others find out that we are gone, and wait longer.

        Cancel-safe: yes, as above.
        """
        if not self._session.was_opened:
            return
        async with self._session.connected() as connection:
            await connection.execute(
                self._queries["leave_budget"], self._source, self._holder, list(returned_s)
            )

    async def close(self) -> None:
        """Close the connection; whoever has not left is then seen as dead."""
        await self._session.close()

    async def _begin(self, _connection: Connection) -> None:
        """Whatever a session showed ended with it."""
        self._is_shown = self._is_registered = False

    def _snapshot_of(self, rows: Sequence[asyncpg.Record]) -> Snapshot:
        first = rows[0]
        if first["version"] is None:
            return Snapshot(is_registered=self._is_registered)
        resume_s = first["resume_s"]
        return Snapshot(
            version=first["version"],
            rate=Rate(
                -math.inf if resume_s is None else resume_s, first["reduced_rate"], first["storms"]
            ),
            returned_s=tuple(first["returned_s"]),
            holders=tuple(_holder_of(row) for row in rows if row["holder"] is not None),
            is_registered=self._is_registered,
        )


def _holder_of(row: asyncpg.Record) -> Holder:
    return Holder(
        name=row["holder"],
        held=row["held"],
        wanted=row["wanted"],
        limit=row["max_requests"],
        waited_s=row["waited_s"] or 0.0,
        dead_s=row["dead_s"],
        is_alive=row["is_alive"],
    )
