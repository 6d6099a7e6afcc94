"""
Remove what a retired catalog left behind, a bounded piece at a time.

Owns every deletion of whole catalogs. Never decides which catalog may go, how large a piece is, or
when to stop.
Invariant: each transaction is fenced by the catalog's lease; before the first row goes the catalog
is retired and its progress void, so that no half of it is ever shown or taken for a whole.
The lease's row stays: its epoch may never repeat, else a holder from before would pass the fence
of a catalog of the same name again.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from syncer.store.lease import Lease, fenced
from syncer.store.pool import Connection, Pool, translate
from syncer.store.queries import Queries

Key = TypeVar("Key", str, int)


@dataclass(frozen=True, slots=True)
class KnownCatalog:
    """A catalog that the database has a row of."""

    catalog: str
    retired_at: datetime | None
    last_complete_at: datetime | None


@dataclass(frozen=True, slots=True)
class CatalogCount:
    """How much is stored of a catalog."""

    live_models: int
    removed_models: int
    """Tombstones."""
    quarantined_models: int
    """Dismissed ones too."""


async def list_catalogs(connection: Connection, queries: Queries) -> tuple[KnownCatalog, ...]:
    """All catalogs of the database, by name."""
    with translate():
        records = await connection.fetch(queries["list_catalogs"])
    return tuple(KnownCatalog(**dict(record.items())) for record in records)


async def count_catalog(connection: Connection, queries: Queries, catalog: str) -> CatalogCount:
    """How much is stored of a catalog; of one that nobody knows, nothing."""
    with translate():
        record = await connection.fetchrow(queries["count_catalog"], catalog)
    return CatalogCount(**dict(record.items())) if record else CatalogCount(0, 0, 0)


@dataclass(frozen=True, slots=True)
class ForgetStore:
    """Removes one catalog, under its lease.

    Every method raises LeaseLost when the lease has another epoch, StoreUnavailable or
    StoreConflict as the database does; nothing was removed then, or it is unknown whether.
    Cancel-safe, all of them: one transaction each, and doing any of them again is harmless.
    """

    pool: Pool
    queries: Queries
    lease: Lease

    async def void(self, *, unretired: bool) -> bool:
        """Retire the catalog and void its progress; whether there was such a catalog.

        Args:
            unretired: it may be one that nobody has retired yet.
        """
        async with fenced(self.pool, self.queries, self.lease) as connection:
            found = await connection.fetchval(
                self.queries["void_catalog"], self.lease.catalog, unretired
            )
            if found is not None:
                # An open backfill would be resumed past the rows that are about to go.
                await connection.execute(self.queries["abandon_cycles"], self.lease.catalog, None)
            return found is not None

    async def delete_models(self, after: str, limit: int) -> tuple[int, str]:
        """Remove the next ``limit`` models after an id; how many, and the last of them."""
        return await self._delete("delete_models", after, limit)

    async def delete_changes(self, after: str, limit: int) -> tuple[int, str]:
        """Remove the next ``limit`` changes from an id on; how many, and the last of the ids."""
        return await self._delete("delete_changes", after, limit)

    async def delete_details(self, after: str, limit: int) -> tuple[int, str]:
        """Remove the details of the next ``limit`` models after an id; as ``delete_models``."""
        return await self._delete("delete_details", after, limit)

    async def delete_quarantine(self, after: str, limit: int) -> tuple[int, str]:
        """Remove the next ``limit`` quarantined models after a key; as ``delete_models``."""
        return await self._delete("delete_quarantine", after, limit)

    async def delete_cycles(self, after: int, limit: int) -> tuple[int, int]:
        """Remove the next ``limit`` cycles with all that hangs on them; as ``delete_models``."""
        return await self._delete("delete_cycles", after, limit)

    async def delete_catalog(self) -> None:
        """Remove the catalog's own row, last of all."""
        async with fenced(self.pool, self.queries, self.lease) as connection:
            await connection.execute(self.queries["delete_catalog"], self.lease.catalog)

    async def _delete(self, query: str, after: Key, limit: int) -> tuple[int, Key]:
        async with fenced(self.pool, self.queries, self.lease) as connection:
            record = await connection.fetchrow(
                self.queries[query], self.lease.catalog, after, limit
            )
        if record is None or not record["removed"]:
            return 0, after
        return record["removed"], record["last_key"]
