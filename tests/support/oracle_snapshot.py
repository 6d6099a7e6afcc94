"""
What the database holds at one moment, and how it is emptied between two examples.

Owns the queries of the oracle's outsider. Never judges.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.domain import to_millis

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    Observer = asyncpg.Connection[asyncpg.Record]

OURS = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname IN ('scenario', 'syncer') AND tablename <> 'migration'"
)
_ROWS = (
    "SELECT id, updated_at, content_hash, sent_order, removed_at IS NOT NULL AS removed"
    " FROM scenario.models"
)
_CATALOG = "SELECT watermark, settled_from, last_complete_at FROM syncer.catalog"
_OPEN = (
    "SELECT kind, sort_key, phase, after_at, before_at, filter_type, filter_tag"
    " FROM syncer.cycle JOIN syncer.checkpoint USING (cycle_id) WHERE finished_at IS NULL"
)
_TEXT = "SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {} t"
_QUARANTINE = "SELECT key FROM syncer.quarantine"
_SWEEPS = (
    "SELECT count(*) FROM syncer.cycle WHERE kind = 'sweep' AND outcome = 'complete'"
    " AND finished_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One stored model."""

    updated_ms: int
    content_hash: bytes
    sent_order: int
    removed: bool

    @property
    def version(self) -> tuple[int, int]:
        """What never decreases while the row is live."""
        return self.updated_ms, self.sent_order


@dataclass(frozen=True, slots=True)
class OpenRange:
    """What a partition of an unfinished cycle has yet to ask for, bounds exclusive."""

    kind: str
    by_updated: bool
    after_ms: int | None
    before_ms: int | None
    is_done: bool
    is_filtered: bool

    def may_show(self, at_ms: int) -> bool:
        """Whether a row of that time may still be shown."""
        above = self.after_ms is None or at_ms > self.after_ms
        below = self.before_ms is None or at_ms < self.before_ms
        return not self.is_done and above and below


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the invariants speak of."""

    rows: dict[str, Row]
    watermark_ms: int | None = None
    settled_from_ms: int | None = None
    last_complete_at: datetime | None = None
    open_ranges: tuple[OpenRange, ...] = ()
    quarantined: frozenset[str] = frozenset()
    complete_sweeps: int = 0

    def has_open(self, kind: str) -> bool:
        """Whether a cycle of that kind is under way."""
        return any(each.kind == kind for each in self.open_ranges)


async def look(observer: Observer) -> Snapshot:
    """The database as it is now."""
    catalog = await observer.fetchrow(_CATALOG)
    return Snapshot(
        rows={record["id"]: _row(record) for record in await observer.fetch(_ROWS)},
        watermark_ms=_millis(catalog["watermark"]) if catalog else None,
        settled_from_ms=_millis(catalog["settled_from"]) if catalog else None,
        last_complete_at=catalog["last_complete_at"] if catalog else None,
        open_ranges=tuple(_open_range(record) for record in await observer.fetch(_OPEN)),
        quarantined=frozenset(record["key"] for record in await observer.fetch(_QUARANTINE)),
        complete_sweeps=await observer.fetchval(_SWEEPS),
    )


_EVERYBODYS = {"syncer.lease", "syncer.budget", "syncer.allowance"}
"""What a process without a lease writes, too: its wish for one, and what it asks with."""


async def fingerprint(observer: Observer) -> str:
    """Everything that a process without the lease must leave alone."""
    tables = [each[0] for each in await observer.fetch(OURS) if each[0] not in _EVERYBODYS]
    texts = [await observer.fetchval(_TEXT.format(table)) for table in sorted(tables)]
    return "\n".join(f"{table}: {text}" for table, text in zip(tables, texts, strict=True))


async def empty(observer: Observer) -> None:
    """Forget everything that was mirrored; cheaper than a database of its own."""
    tables = [each[0] for each in await observer.fetch(OURS)]
    # Checkpoints point at cycles.
    tables.sort(key=lambda table: table == "syncer.cycle")
    await observer.execute(";".join(map("DELETE FROM {}".format, tables)))


def _row(record: asyncpg.Record) -> Row:
    return Row(
        updated_ms=to_millis(record["updated_at"]),
        content_hash=record["content_hash"],
        sent_order=record["sent_order"],
        removed=record["removed"],
    )


def _open_range(record: asyncpg.Record) -> OpenRange:
    return OpenRange(
        kind=record["kind"],
        by_updated=record["sort_key"] == "updatedAt",
        after_ms=_millis(record["after_at"]),
        before_ms=_millis(record["before_at"]),
        is_done=record["phase"] in {"complete", "dropped"},
        is_filtered=bool(record["filter_type"] or record["filter_tag"]),
    )


def _millis(at: Any) -> int | None:
    return None if at is None else to_millis(at)
