"""
Let old changes go, a bounded piece at a time.

Owns how far back the history reaches (``syncer.history``). Never decides how old is too old, or
how large a piece is.
Invariant: before the first change goes it is stored that changes are kept from a later time on, so
that nobody takes the rest for the whole. Several processes may do this at once: what one has
removed the other does not find. No lock of the merge is asked for.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass

from syncer.store.pool import Pool, translate
from syncer.store.queries import Queries


@dataclass(frozen=True, slots=True)
class HistoryStore:
    """The age of the change records; belongs to no catalog, and so to no lease."""

    pool: Pool
    queries: Queries

    async def raise_kept_since(self, keep_days: int) -> int | None:
        """Give up what is older; returns the last change of that age, ``None`` without any.

        Cancel-safe: yes; what was given up and has not gone yet goes the next time.
        """
        with translate():
            async with self.pool.acquire() as connection:
                last: int | None = await connection.fetchval(
                    self.queries["raise_kept_since"], keep_days
                )
        return last

    async def drop(self, after: int, upto: int, limit: int) -> tuple[int, int]:
        """Remove the next ``limit`` changes between two ids; how many, and the last of them.

        Cancel-safe: yes; one statement, and doing it again is harmless.
        """
        with translate():
            async with self.pool.acquire() as connection:
                record = await connection.fetchrow(self.queries["drop_changes"], after, upto, limit)
        if record is None or not record["removed"]:
            return 0, after
        return record["removed"], record["last_key"]
