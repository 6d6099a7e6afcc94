"""
Read what the mirror holds, to compare it with the source model by model.

Owns the reading of whole rows, and the one write that a repair begins with. Never decides what
counts as a difference.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from syncer.domain import Absences, Millis, Model, to_datetime, to_millis
from syncer.store.lease import Lease, fenced
from syncer.store.pool import Pool, translate
from syncer.store.progress import datetime_of
from syncer.store.queries import Queries

_TEXTS = (
    "name",
    "type",
    "privacy",
    "status",
    "source",
    "custom",
    "author_id",
    "owner_id",
    "parent_model_id",
    "short_description",
    "access_restrictions",
    "training_images_number",
    "thumbnail_asset_id",
)
_LISTS = ("tags", "capabilities", "collection_ids")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as its columns say."""

    row: Model
    """With the body as PostgreSQL gives it back."""
    is_removed: bool


@dataclass(frozen=True, slots=True)
class ComparingStore:
    """What the mirror holds of one catalog."""

    pool: Pool
    queries: Queries
    catalog: str

    async def read(self, ids: Iterable[str]) -> dict[str, StoredRow]:
        """The rows of some models, by id; removed ones included."""
        records = await self._fetch("read_stored", list(ids))
        return {record["id"]: _stored(record) for record in records}

    async def list_created(
        self, after_ms: Millis | None, upto_ms: Millis | None
    ) -> dict[str, Millis]:
        """Live models created after one instant and up to another; ``None`` is open."""
        records = await self._fetch("list_created", datetime_of(after_ms), datetime_of(upto_ms))
        return {record["id"]: to_millis(record["created_at"]) for record in records}

    async def list_set_aside(self, keys: Iterable[str]) -> set[str]:
        """Which of these records are in quarantine."""
        records = await self._fetch("list_set_aside", list(keys))
        return {record["key"] for record in records}

    async def count_absences(self) -> Absences:
        """What the guard would look at, were nothing absent."""
        (record,) = await self._fetch("read_absences", 0)
        return Absences(**record)

    async def read_last_end(self) -> datetime | None:
        """When the catalog's last cycle ended, whichever way (database clock)."""
        records = await self._fetch("read_last_end")
        return records[0]["last_cycle_finished_at"] if records else None

    async def doubt(self, lease: Lease, versions: Mapping[str, tuple[Millis, Millis]]) -> None:
        """Make the next page that lists these models write them anew.

        Args:
            lease: ours.
            versions: ``updatedAt`` at the source, and as it was stored when that was compared.
        """
        listed = [to_datetime(at_ms) for at_ms, _ in versions.values()]
        stored = [to_datetime(at_ms) for _, at_ms in versions.values()]
        async with fenced(self.pool, self.queries, lease) as connection:
            await connection.fetch(self.queries["lock_models"], self.catalog, list(versions))
            await connection.execute(
                self.queries["doubt_models"], self.catalog, list(versions), listed, stored
            )

    async def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        with translate():
            async with self.pool.acquire() as connection:
                return await connection.fetch(self.queries[query], self.catalog, *values)


def _stored(record: asyncpg.Record) -> StoredRow:
    columns: dict[str, Any] = {
        name: None if record[name] is None else tuple(record[name]) for name in _LISTS
    }
    columns |= {name: record[name] for name in _TEXTS}
    row = Model(
        id=record["id"],
        created_ms=to_millis(record["created_at"]),
        updated_ms=to_millis(record["updated_at"]),
        body=record["body"],
        content_hash=record["content_hash"],
        **columns,
    )
    return StoredRow(row, record["removed"])
