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

from syncer.domain import Millis, Model, to_datetime, to_millis
from syncer.store.lease import Lease, fenced
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
    listed_ms: Millis
    """``updatedAt`` of its row: an older record is not of this version."""


@dataclass(frozen=True, slots=True)
class DetailCount:
    """How complete the details of a catalog are."""

    wanted: int = 0
    """Live models."""
    stored: int = 0
    """Of those, with the details of the version that is listed."""
    failed: int = 0
    """Of those, set aside."""

    @property
    def open(self) -> int:
        """Those that are still to be asked for."""
        return self.wanted - self.stored - self.failed


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

    async def list_open(self, after: str, limit: int) -> tuple[str | None, tuple[OpenDetail, ...]]:
        """Open ones among the next ``limit`` models in key order, and up to which id that is.

        ``None``: that was the last. Failed ones are left out.
        """
        records = await self._fetch("list_open_details", self.lease.catalog, after, limit)
        return records[0]["last_id"], _opens(records)

    async def list_due(self, limit: int) -> tuple[OpenDetail, ...]:
        """Failed ones whose time to be asked again has come."""
        return _opens(await self._fetch("list_due_details", self.lease.catalog, limit))

    async def list_changed(
        self, after: int, limit: int
    ) -> tuple[int | None, tuple[OpenDetail, ...]]:
        """Open ones among the next ``limit`` changes, and up to which change that is.

        ``None``: nothing has changed since. Failed ones are left out.
        """
        records = await self._fetch("list_changed_details", self.lease.catalog, after, limit)
        return records[0]["change_id"], _opens(records)

    async def store(self, detail: OpenDetail, model: Model) -> bool:
        """Store what was retrieved; returns whether it differs from what was stored.

        Cancel-safe: yes; one transaction, and doing it again is harmless.
        """
        return await self._store(detail, model, is_older=False)

    async def store_older(
        self, detail: OpenDetail, model: Model, reason: str, first_wait_s: float
    ) -> bool:
        """Store what was retrieved, and that it is to be asked again: it is not what is listed.

        As ``store`` and ``set_aside``.
        """
        wait = timedelta(seconds=first_wait_s)
        return await self._store(detail, model, reason, wait, is_older=True)

    async def _store(
        self, detail: OpenDetail, model: Model, *failure: object, is_older: bool
    ) -> bool:
        catalog = self.lease.catalog
        async with fenced(self.pool, self.queries, self.lease) as connection:
            changed = await connection.fetchval(
                self.queries["store_detail"],
                catalog,
                detail.id,
                model.body,
                model.content_hash,
                detail.listed_hash,
                to_datetime(model.updated_ms),
                is_older,
            )
            if changed:
                await connection.execute(self.queries["delete_inputs"], catalog, detail.id)
                await connection.execute(self.queries["insert_inputs"], catalog, detail.id)
            if is_older:
                await self._record_failure(connection, detail, *failure)
        return bool(changed)

    async def set_aside(self, detail: OpenDetail, reason: str, first_wait_s: float) -> None:
        """Remember that they could not be had.

        Args:
            detail: the model.
            reason: redacted.
            first_wait_s: until it is asked for again, the first time.

        Cancel-safe: yes; counted twice, the next wait is longer.
        """
        async with fenced(self.pool, self.queries, self.lease) as connection:
            wait = timedelta(seconds=first_wait_s)
            await self._record_failure(connection, detail, reason, wait)

    async def _record_failure(
        self, connection: Connection, detail: OpenDetail, *failure: object
    ) -> None:
        await connection.execute(
            self.queries["record_detail_failure"],
            self.lease.catalog,
            detail.id,
            detail.listed_hash,
            *failure,
        )

    async def _fetch(self, query: str, *values: object) -> Sequence[asyncpg.Record]:
        with translate():
            async with self.pool.acquire() as connection:
                records: Sequence[asyncpg.Record] = await connection.fetch(
                    self.queries[query], *values
                )
        return records


def _opens(records: Sequence[asyncpg.Record]) -> tuple[OpenDetail, ...]:
    """Without the row that only says up to where was looked."""
    return tuple(
        OpenDetail(record["id"], record["listed_hash"], to_millis(record["listed_at"]))
        for record in records
        if record["id"] is not None
    )
