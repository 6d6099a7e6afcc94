"""
What a page's transaction does besides storing rows.

Owns the kinds of pages: one that moves a checkpoint, one that is a whole cycle, one asked beside
all walks. Never decides which of them a page is.
Invariant: an effect claims its page before any row is locked, and ends a cycle after the last one.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from syncer.domain import Checkpoint, Cycle, CycleKind, Millis, PartitionPhase, Seen, to_datetime
from syncer.errors import CheckpointMoved
from syncer.store.pool import Connection
from syncer.store.progress import (
    WatermarkRule,
    datetime_of,
    finish_catalog,
    finish_cycle,
    insert_checkpoint,
    walk_values,
)
from syncer.store.queries import Queries


@dataclass(frozen=True, slots=True)
class Merged:
    """What a page's rows did, as far as its effect may depend on it."""

    wrote: bool
    """Whether any row of the mirror or the quarantine changed."""
    older_ids: tuple[str, ...] = ()
    """Models that the page showed older than they are stored."""


@dataclass(frozen=True, slots=True)
class SweepPage:
    """The part that a page plays in a sweep."""

    cycle: Cycle
    is_second_question: bool = False
    """An older version that it shows once more is taken: the source was set back."""


class Effect(Protocol):
    """What a page's transaction does besides storing rows."""

    @property
    def sweep(self) -> SweepPage | None:
        """Of a sweep: its finds are told apart."""
        ...

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Before any row is locked: claim the page, or raise."""
        ...

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """After the last row: returns whether a cycle ended here."""
        ...


class AlreadyCommitted(Exception):
    """The page whose commit had an unknown outcome turned out to be stored."""


@dataclass(frozen=True, slots=True)
class MoveCheckpoint:
    """Move one partition on, begin the parts that were cut off it, and end the cycle if it was
    the last.
    """

    cycle: Cycle
    before: Checkpoint
    after: Checkpoint
    cut_off: tuple[Checkpoint, ...]
    watermark_rule: WatermarkRule
    seen: Seen | None = None
    """Of a sweep: what the page proves to be listed."""

    @property
    def sweep(self) -> SweepPage | None:
        """This cycle, if it is a sweep."""
        return _sweep_page(self.cycle)

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Compare-and-set.

        Raises:
            AlreadyCommitted: an earlier try of this very page was stored after all.
            CheckpointMoved: the checkpoint is somewhere else; the partition must be re-read.
        """
        moved = await connection.fetchval(
            queries["move_checkpoint"],
            self.before.cycle_id,
            self.before.partition.name,
            self.before.seq,
            *walk_values(self.after),
        )
        if moved is None:
            await self._explain(connection, queries)
        for part in self.cut_off:
            await insert_checkpoint(connection, queries, part)

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """End the cycle when this was its last open partition.

        Not a sweep: that ends when what it did not see is confirmed.
        """
        if self.seen is not None:
            await insert_seen(connection, queries, self.cycle, self.seen, merged)
        if self.sweep is not None or self.after.phase is not PartitionPhase.COMPLETE:
            return False
        return await finish_cycle(connection, queries, self.cycle, self.watermark_rule)

    async def _explain(self, connection: Connection, queries: Queries) -> None:
        seq = await connection.fetchval(
            queries["read_checkpoint_seq"], self.before.cycle_id, self.before.partition.name
        )
        if seq == self.after.seq:
            raise AlreadyCommitted
        raise CheckpointMoved(
            f"partition {self.before.partition.name} is at commit {seq}, this page follows "
            f"commit {self.before.seq}"
        )


@dataclass(frozen=True, slots=True)
class FinishPoll:
    """End a cycle whose first page was its last: one small row, written in place."""

    cycle: Cycle
    newest_ms: Millis | None
    started_at: datetime
    watermark_rule: WatermarkRule
    read_feed: bool = False
    """Whether the feed of deleted models was read whole before."""

    @property
    def sweep(self) -> SweepPage | None:
        """This cycle, if it is a sweep."""
        return _sweep_page(self.cycle)

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Nothing to claim: the same poll stored twice changes nothing."""

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """Raise the watermark and remember the poll."""
        if merged.wrote:
            await connection.execute(
                queries["record_poll"],
                self.cycle.catalog,
                self.cycle.kind,
                self.cycle.strategy,
                self.cycle.reason,
                to_datetime(self.cycle.source_now_ms),
                self.started_at,
            )
        await finish_catalog(
            connection,
            queries,
            self.cycle,
            newest_ms=self.newest_ms,
            started_at=self.started_at,
            watermark_rule=self.watermark_rule,
            read_feed=self.read_feed,
        )
        return True


@dataclass(frozen=True, slots=True)
class NoteSeen:
    """A second question of a sweep: it moves no checkpoint, and adds to what was seen."""

    cycle: Cycle
    seen: Seen

    @property
    def sweep(self) -> SweepPage | None:
        """The sweep that asked."""
        return SweepPage(self.cycle, is_second_question=True)

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Nothing to claim: seen twice is seen."""

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """Add to the seen-set; no cycle ends."""
        await insert_seen(connection, queries, self.cycle, self.seen, Merged(merged.wrote))
        return False


@dataclass(frozen=True, slots=True)
class NoEffect:
    """A page asked beside all walks: it moves no checkpoint and ends no cycle."""

    @property
    def sweep(self) -> SweepPage | None:
        """None."""
        return None

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Nothing to claim."""

    async def finish(self, connection: Connection, queries: Queries, merged: Merged) -> bool:
        """No cycle ends."""
        del connection, queries, merged
        return False


async def insert_seen(
    connection: Connection, queries: Queries, sweep: Cycle, seen: Seen, merged: Merged
) -> None:
    """Remember what a page of a sweep proves to be listed."""
    blind = seen.blind
    await connection.execute(
        queries["insert_seen"],
        sweep.cycle_id,
        list(seen.ids),
        list(merged.older_ids),
        blind is not None,
        datetime_of(blind.after_ms) if blind else None,
        datetime_of(blind.before_ms) if blind else None,
    )


def _sweep_page(cycle: Cycle) -> SweepPage | None:
    return SweepPage(cycle) if cycle.kind is CycleKind.SWEEP else None
