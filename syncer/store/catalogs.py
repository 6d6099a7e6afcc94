"""
The row of each catalog: its scope, its pin, what it has proven, and what went wrong last.

Owns ``syncer.catalog`` outside the page transaction. Never decides what a changed scope means.
Invariant: every write is fenced by the catalog's lease, but for registering one that is new,
retiring one that is gone from the configuration, and what a comparison found: that is an
observation, made beside the holder of the lease, and nothing that is written goes by it.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from syncer.domain import CycleKind, Millis, Scope, to_millis
from syncer.errors import SyncerError
from syncer.store.lease import Lease, fenced
from syncer.store.pool import Connection, Pool, translate
from syncer.store.queries import Queries

MAX_COUNTED = 1_000_000
"""More live models than that are as good as that many, where requests are estimated."""


@dataclass(frozen=True, slots=True)
class CatalogState:
    """What the database knows of a catalog."""

    scope_holds: bool
    """Whether the stored progress was made under the scope that is configured now."""
    pin: str | None
    backfilled_at: datetime | None
    watermark_ms: Millis | None
    settled_from_ms: Millis | None
    head_ms: Millis | None
    last_complete_at: datetime | None
    retired: bool
    removals_waiting: int = 0
    since_sweep_s: float | None = None
    """Since the last complete sweep; ``None`` before the first, infinite when one is overdue."""
    since_feed_s: float | None = None
    """Since the feed of deleted models was read whole; ``None`` when it never was."""


@dataclass(frozen=True, slots=True)
class CatalogStore:
    """Reads and writes catalog rows."""

    pool: Pool
    queries: Queries

    async def register(self, catalog: str, scope: Scope) -> CatalogState:
        """Read a catalog's row, making it if it is not there."""
        wanted = scope_json(scope)
        with translate():
            async with self.pool.acquire() as connection:
                record = await connection.fetchrow(self.queries["read_catalog"], catalog, wanted)
                if record is None:
                    await connection.execute(self.queries["register_catalog"], catalog, wanted)
                    record = await connection.fetchrow(
                        self.queries["read_catalog"], catalog, wanted
                    )
                if record is None:
                    raise SyncerError(f"the row of catalog {catalog} vanished while it was made")
                return CatalogState(
                    scope_holds=record["scope_holds"],
                    pin=record["pin"],
                    backfilled_at=record["backfilled_at"],
                    watermark_ms=_millis(record["watermark"]),
                    settled_from_ms=_millis(record["settled_from"]),
                    head_ms=_millis(record["head"]),
                    last_complete_at=record["last_complete_at"],
                    retired=record["retired"],
                    removals_waiting=record["removals_waiting"],
                    since_sweep_s=record["since_sweep_s"],
                    since_feed_s=record["since_feed_s"],
                )

    async def reset(self, lease: Lease, scope: Scope, *, pin: str | None) -> None:
        """Forget how far a catalog has come; keep its rows. It will be filled again."""
        async with fenced(self.pool, self.queries, lease) as connection:
            await connection.execute(self.queries["abandon_cycles"], lease.catalog, None)
            await connection.execute(
                self.queries["reset_catalog"], lease.catalog, scope_json(scope), pin
            )

    async def abandon(self, lease: Lease, kind: CycleKind) -> None:
        """Give up the unfinished cycle of a kind."""
        await self._write(lease, "abandon_cycles", lease.catalog, kind)

    async def pin(self, lease: Lease, pin: str, *, instead_of: str | None = None) -> None:
        """Remember what the catalog is filled from; any other pin that stands is kept."""
        await self._write(lease, "pin_catalog", lease.catalog, pin, instead_of)

    async def restore(self, lease: Lease) -> None:
        """A retired catalog is configured again."""
        await self._write(lease, "restore_catalog", lease.catalog)

    async def record_error(
        self,
        lease: Lease,
        error: SyncerError,
        *,
        kind: CycleKind,
        outcome: str,
        started_at: datetime,
        blocked: bool,
    ) -> None:
        """Say in ``status`` why the last cycle did not complete."""
        await self._write(
            lease,
            "record_catalog_error",
            lease.catalog,
            kind,
            outcome,
            started_at,
            error.message,
            error.hint,
            blocked,
        )

    async def record_verified(self, catalog: str, scope: Scope, differences: int) -> bool:
        """Keep what a comparison found; whether the catalog is kept under that scope at all.

        Cancel-safe: yes; one statement, all or nothing.
        """
        with translate():
            async with self.pool.acquire() as connection:
                kept = await connection.fetchval(
                    self.queries["record_verified"], catalog, scope_json(scope), differences
                )
                return kept is not None

    async def retire_others(self, configured: Iterable[str]) -> tuple[str, ...]:
        """Retire catalogs that are gone from the configuration; returns those that just were.

        Not one that a living process holds: it is configured there.
        """
        with translate():
            async with self.pool.acquire() as connection:
                records = await connection.fetch(self.queries["retire_catalogs"], list(configured))
                return tuple(record["catalog"] for record in records)

    async def count_open(self, catalogs: Iterable[str]) -> tuple[int, int]:
        """What waits for an operator: quarantined models that nobody dismissed, and removals."""
        with translate():
            async with self.pool.acquire() as connection:
                record = await connection.fetchrow(self.queries["count_open"], list(catalogs))
        return (0, 0) if record is None else (record["quarantined"], record["removals_waiting"])

    async def count_live(self, catalog: str, *, limit: int = MAX_COUNTED) -> int:
        """Live models of a catalog, counted up to a limit."""
        with translate():
            async with self.pool.acquire() as connection:
                return int(await connection.fetchval(self.queries["count_live"], catalog, limit))

    async def read_newest(self, catalog: str) -> Millis | None:
        """Newest ``createdAt`` of the mirror, tombstones included."""
        with translate():
            async with self.pool.acquire() as connection:
                return _millis(await connection.fetchval(self.queries["read_newest"], catalog))

    async def read_facts(self, catalog: str) -> tuple[dict[str, int], dict[str, int]]:
        """Live models by type and by tag; ``""`` counts models without a type."""
        with translate():
            async with self.pool.acquire() as connection:
                return await read_facts(connection, self.queries, catalog)

    async def _write(self, lease: Lease, query: str, *values: object) -> None:
        async with fenced(self.pool, self.queries, lease) as connection:
            await connection.execute(self.queries[query], *values)


async def read_facts(
    connection: Connection, queries: Queries, catalog: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Live models by type and by tag; ``""`` counts models without a type."""
    with translate():
        types = await connection.fetch(queries["read_facts_types"], catalog)
        tags = await connection.fetch(queries["read_facts_tags"], catalog)
    return (
        {record["type"]: record["models"] for record in types},
        {record["tag"]: record["models"] for record in tags},
    )


def scope_json(scope: Scope) -> bytes:
    """The scope as stored and compared: names sorted, so that their order does not matter."""
    values = asdict(scope)
    # Whether URLs name the originals changes no model, only links that are volatile anyway.
    values.pop("original_assets")
    for name in ("types", "tags", "collection_ids"):
        values[name] = sorted(set(values[name]))
    return msgspec.json.encode(values, order="sorted")


def _millis(at: datetime | None) -> Millis | None:
    return None if at is None else to_millis(at)
