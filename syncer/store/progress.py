"""
Cycles and checkpoints: how far each catalog and each partition has come.

Owns the rows of ``syncer.cycle``, ``syncer.checkpoint`` and ``syncer.catalog``. Never decides what
they should say: checkpoints are values derived from pages, watermarks come from a rule that is
passed in.
Invariant: a checkpoint moves by compare-and-set on its ``seq``, in the transaction of its page.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from syncer.domain import (
    Checkpoint,
    Crossing,
    Cycle,
    CycleKind,
    Millis,
    Partition,
    PartitionPhase,
    SortKey,
    Walk,
    to_datetime,
    to_millis,
)
from syncer.errors import CheckpointMoved
from syncer.store.pool import Connection
from syncer.store.queries import Queries

WatermarkRule = Callable[[Millis | None, Millis | None, Cycle], tuple[Millis, Millis | None]]
"""``(stored watermark, newest row of the cycle, cycle)`` → the watermark and the head to store."""


class Effect(Protocol):
    """What a page's transaction does besides storing rows."""

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Before any row is locked: claim the page, or raise."""
        ...

    async def finish(self, connection: Connection, queries: Queries, *, wrote: bool) -> bool:
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
            *_walk_values(self.after),
        )
        if moved is None:
            await self._explain(connection, queries)
        for part in self.cut_off:
            await insert_checkpoint(connection, queries, part)

    async def finish(self, connection: Connection, queries: Queries, *, wrote: bool) -> bool:
        """End the cycle when this was its last open partition."""
        del wrote
        if self.after.phase is not PartitionPhase.COMPLETE:
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
    """End a delta cycle whose first page was its last: one small row, written in place."""

    cycle: Cycle
    newest_ms: Millis | None
    started_at: datetime
    watermark_rule: WatermarkRule

    async def begin(self, connection: Connection, queries: Queries) -> None:
        """Nothing to claim: the same poll stored twice changes nothing."""

    async def finish(self, connection: Connection, queries: Queries, *, wrote: bool) -> bool:
        """Raise the watermark and remember the poll."""
        if wrote:
            await connection.execute(
                queries["record_poll"],
                self.cycle.catalog,
                self.cycle.strategy,
                self.cycle.reason,
                to_datetime(self.cycle.source_now_ms),
                self.started_at,
            )
        await _finish_catalog(
            connection,
            queries,
            self.cycle,
            newest_ms=self.newest_ms,
            started_at=self.started_at,
            watermark_rule=self.watermark_rule,
        )
        return True


async def open_cycle(
    connection: Connection,
    queries: Queries,
    cycle: Cycle,
    partitions: Iterable[Partition],
) -> tuple[Cycle, tuple[Checkpoint, ...]]:
    """Store a new cycle with its partitions, none of them begun. Call inside a transaction."""
    await connection.execute(queries["drop_old_checkpoints"], cycle.catalog)
    await connection.execute(queries["drop_old_cycles"], cycle.catalog)
    cycle_id = await connection.fetchval(
        queries["open_cycle"],
        cycle.catalog,
        cycle.kind,
        cycle.strategy,
        cycle.reason,
        to_datetime(cycle.source_now_ms),
        _datetime(cycle.ceiling_ms),
    )
    opened = replace(cycle, cycle_id=cycle_id)
    checkpoints = tuple(
        Checkpoint(cycle_id, partition, PartitionPhase.PENDING) for partition in partitions
    )
    for checkpoint in checkpoints:
        await insert_checkpoint(connection, queries, checkpoint)
    return opened, checkpoints


async def insert_checkpoint(
    connection: Connection, queries: Queries, checkpoint: Checkpoint
) -> None:
    """Begin a partition."""
    partition = checkpoint.partition
    await connection.execute(
        queries["insert_checkpoint"],
        checkpoint.cycle_id,
        partition.name,
        checkpoint.phase,
        partition.walk.key,
        partition.type,
        partition.tag,
        partition.is_proof,
        _datetime(partition.walk.after_ms),
        _datetime(partition.walk.before_ms),
    )


async def read_open_cycle(
    connection: Connection, queries: Queries, catalog: str, kind: CycleKind
) -> tuple[Cycle, tuple[Checkpoint, ...]] | None:
    """The unfinished cycle of a kind, with where its partitions stand."""
    record = await connection.fetchrow(queries["read_open_cycle"], catalog, kind)
    if record is None:
        return None
    cycle = Cycle(
        cycle_id=record["cycle_id"],
        catalog=record["catalog"],
        kind=CycleKind(record["kind"]),
        strategy=record["strategy"],
        reason=record["reason"],
        source_now_ms=to_millis(record["source_now"]),
        ceiling_ms=_millis(record["ceiling"]),
    )
    return cycle, await read_checkpoints(connection, queries, cycle.cycle_id)


async def read_checkpoints(
    connection: Connection, queries: Queries, cycle_id: int
) -> tuple[Checkpoint, ...]:
    """All partitions of a cycle, by name."""
    records = await connection.fetch(queries["read_checkpoints"], cycle_id)
    return tuple(_checkpoint(record) for record in records)


async def finish_cycle(
    connection: Connection,
    queries: Queries,
    cycle: Cycle,
    watermark_rule: WatermarkRule,
) -> bool:
    """End the cycle if all its partitions are done; returns whether it ended.

    Call last in a transaction: it locks the cycle and the catalog, and nothing may wait for a
    model row after that.
    """
    await connection.execute(queries["lock_cycle"], cycle.cycle_id)
    record = await connection.fetchrow(queries["finish_cycle"], cycle.cycle_id)
    if record is None:
        return False
    await _finish_catalog(
        connection,
        queries,
        cycle,
        newest_ms=_millis(record["newest_at"]),
        started_at=record["started_at"],
        watermark_rule=watermark_rule,
    )
    return True


async def _finish_catalog(
    connection: Connection,
    queries: Queries,
    cycle: Cycle,
    *,
    newest_ms: Millis | None,
    started_at: datetime,
    watermark_rule: WatermarkRule,
) -> None:
    stored = _millis(await connection.fetchval(queries["lock_catalog"], cycle.catalog))
    watermark_ms, head_ms = watermark_rule(stored, newest_ms, cycle)
    await connection.execute(
        queries["finish_catalog_cycle"],
        cycle.catalog,
        to_datetime(watermark_ms),
        # After a complete walk the watermark is settled by itself: it lies an overlap back.
        to_datetime(cycle.source_now_ms) if cycle.kind is CycleKind.DELTA else None,
        _datetime(head_ms),
        cycle.kind,
        started_at,
    )


def _walk_values(checkpoint: Checkpoint) -> tuple[Any, ...]:
    walk = checkpoint.partition.walk
    crossing = walk.crossing
    return (
        checkpoint.phase,
        _datetime(walk.after_ms),
        _datetime(walk.before_ms),
        _datetime(crossing.after_ms) if crossing else None,
        _datetime(crossing.upto_ms) if crossing else None,
        crossing.readings if crossing else 0,
        crossing.digest if crossing else 0,
        _datetime(checkpoint.newest_ms),
        checkpoint.pages,
        checkpoint.models,
    )


def _checkpoint(record: asyncpg.Record) -> Checkpoint:
    crossing = None
    if record["crossing_readings"]:
        crossing = Crossing(
            after_ms=_millis(record["crossing_after_at"]),
            upto_ms=_millis(record["crossing_upto_at"]),
            readings=record["crossing_readings"],
            digest=record["crossing_digest"],
        )
    phase = PartitionPhase(record["phase"])
    walk = Walk(
        key=SortKey(record["sort_key"]),
        after_ms=_millis(record["after_at"]),
        before_ms=_millis(record["before_at"]),
        crossing=crossing,
        done=phase is PartitionPhase.COMPLETE,
    )
    partition = Partition(
        name=record["partition"],
        walk=walk,
        type=record["filter_type"],
        tag=record["filter_tag"],
        is_proof=record["is_proof"],
    )
    return Checkpoint(
        cycle_id=record["cycle_id"],
        partition=partition,
        phase=phase,
        newest_ms=_millis(record["newest_at"]),
        pages=record["pages"],
        models=record["models"],
        seq=record["seq"],
    )


def _datetime(at_ms: Millis | None) -> datetime | None:
    return None if at_ms is None else to_datetime(at_ms)


def _millis(at: datetime | None) -> Millis | None:
    return None if at is None else to_millis(at)
