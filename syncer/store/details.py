"""
The details of models: which are open, and how one is stored or set aside.

Owns ``scenario.model_details``, ``scenario.model_inputs`` and ``syncer.detail_failure``. Never asks
the source, never decides when a model is asked for.
Invariant: what is open follows from the tables alone; one model's details, its input form and the
end of its failure commit together or not at all.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from syncer.domain import Model, to_datetime
from syncer.store.lease import Lease, fence
from syncer.store.pool import Connection, Pool, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from syncer.store.queries import Queries


@dataclass(frozen=True, slots=True)
class OpenDetail:
    """A live model whose details are to be fetched."""

    id: str
    listed_hash: bytes
    """Content hash of its row: what they will belong to."""


@dataclass(frozen=True, slots=True)
class DetailCount:
    """How complete the details of a catalog are."""

    wanted: int = 0
    """Live models."""
    stored: int = 0
    """Of those, with the details of the version that is listed."""
    failed: int = 0
    """Of those, set aside."""


async def count_details(
    connection: Connection, queries: Queries, catalogs: Sequence[str]
) -> dict[str, DetailCount]:
    """By catalog; one without any live model is missing. Reads all their rows."""
    with translate():
        records = await connection.fetch(queries["count_details"], list(catalogs))
    return {
        record["catalog"]: DetailCount(record["wanted"], record["stored"], record["failed"])
        for record in records
    }


@dataclass(frozen=True, slots=True)
class DetailStore:
    """Details of one catalog, under its lease.

    Every method raises StoreUnavailable or StoreConflict as the database does; those that write
    raise LeaseLost when the lease has another epoch.
    """

    pool: Pool
    queries: Queries
    lease: Lease

    async def count(self) -> DetailCount:
        """How complete they are; reads all rows of the catalog."""
        with translate():
            async with self.pool.acquire() as connection:
                counts = await count_details(connection, self.queries, [self.lease.catalog])
        return counts.get(self.lease.catalog, DetailCount())

    async def read_last_change(self) -> int:
        """The newest change there is; what comes later has a greater id."""
        with translate():
            async with self.pool.acquire() as connection:
                last: int = await connection.fetchval(self.queries["read_last_change"])
        return last

    async def list_open(self, after: str, limit: int) -> tuple[OpenDetail, ...]:
        """The next open ones after an id, in key order; failed ones are left out."""
        return _opens(await self._fetch("list_open_details", self.lease.catalog, after, limit))

    async def list_due(self, limit: int) -> tuple[OpenDetail, ...]:
        """Failed ones whose time to be asked again has come."""
        return _opens(await self._fetch("list_due_details", self.lease.catalog, limit))

    async def list_changed(
        self, after: int, limit: int
    ) -> tuple[int | None, tuple[OpenDetail, ...]]:
        """Open ones among the next ``limit`` changes, and up to which change that is.

        ``None``: nothing has changed since.
        """
        records = await self._fetch("list_changed_details", self.lease.catalog, after, limit)
        last = records[0]["change_id"] if records else None
        return last, _opens([record for record in records if record["id"] is not None])

    async def store(self, detail: OpenDetail, model: Model) -> bool:
        """Store what was retrieved; returns whether it differs from what was stored.

        Cancel-safe: yes; one transaction, and doing it again is harmless.
        """
        catalog = self.lease.catalog
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                changed = await connection.fetchval(
                    self.queries["store_detail"],
                    catalog,
                    detail.id,
                    model.body,
                    model.content_hash,
                    detail.listed_hash,
                    to_datetime(model.updated_ms),
                )
                if changed:
                    await connection.execute(self.queries["delete_inputs"], catalog, detail.id)
                    await connection.execute(self.queries["insert_inputs"], catalog, detail.id)
        return bool(changed)

    async def set_aside(self, detail: OpenDetail, reason: str, first_wait_s: float) -> None:
        """Remember that they could not be had.

        Args:
            detail: the model.
            reason: redacted.
            first_wait_s: until it is asked for again, the first time.

        Cancel-safe: yes; counted twice, the next wait is longer.
        """
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                await connection.execute(
                    self.queries["record_detail_failure"],
                    self.lease.catalog,
                    detail.id,
                    detail.listed_hash,
                    reason,
                    timedelta(seconds=first_wait_s),
                )

    async def _fetch(self, query: str, *values: object) -> Sequence[asyncpg.Record]:
        with translate():
            async with self.pool.acquire() as connection:
                records: Sequence[asyncpg.Record] = await connection.fetch(
                    self.queries[query], *values
                )
        return records


def _opens(records: Sequence[asyncpg.Record]) -> tuple[OpenDetail, ...]:
    return tuple(OpenDetail(record["id"], record["listed_hash"]) for record in records)
