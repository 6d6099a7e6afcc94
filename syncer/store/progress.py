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
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from syncer.domain import (
    Checkpoint,
    Crossing,
    Cycle,
    CycleKind,
    Millis,
    Partition,
    PartitionPhase,
    Proven,
    SortKey,
    Walk,
    to_datetime,
    to_millis,
)
from syncer.store.pool import Connection
from syncer.store.queries import Queries

WatermarkRule = Callable[[Millis | None, Millis | None, Cycle], Proven]
"""``(stored watermark, newest row of the cycle, cycle)`` → what the cycle has proven."""


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
        datetime_of(cycle.ceiling_ms),
        datetime_of(cycle.low_ms),
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
        datetime_of(partition.walk.after_ms),
        datetime_of(partition.walk.before_ms),
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
        low_ms=_millis(record["low"]),
        age_s=record["age_s"],
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
    await finish_catalog(
        connection,
        queries,
        cycle,
        newest_ms=_millis(record["newest_at"]),
        started_at=record["started_at"],
        watermark_rule=watermark_rule,
    )
    return True


async def finish_catalog(
    connection: Connection,
    queries: Queries,
    cycle: Cycle,
    *,
    newest_ms: Millis | None,
    started_at: datetime,
    watermark_rule: WatermarkRule,
    read_feed: bool = False,
) -> None:
    """Write what a complete cycle has proven of its catalog. Call last in a transaction."""
    stored = _millis(await connection.fetchval(queries["lock_catalog"], cycle.catalog))
    proven = watermark_rule(stored, newest_ms, cycle)
    await connection.execute(
        queries["finish_catalog_cycle"],
        cycle.catalog,
        to_datetime(proven.watermark_ms),
        to_datetime(cycle.source_now_ms),
        datetime_of(proven.head_ms),
        cycle.kind,
        started_at,
        proven.is_fresh,
        read_feed,
    )


def walk_values(checkpoint: Checkpoint) -> tuple[Any, ...]:
    """The columns of a checkpoint that move with a page, as ``move_checkpoint`` takes them."""
    walk = checkpoint.partition.walk
    crossing = walk.crossing
    return (
        checkpoint.phase,
        datetime_of(walk.after_ms),
        datetime_of(walk.before_ms),
        datetime_of(crossing.after_ms) if crossing else None,
        datetime_of(crossing.upto_ms) if crossing else None,
        crossing.readings if crossing else 0,
        crossing.digest if crossing else 0,
        datetime_of(checkpoint.newest_ms),
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


def datetime_of(at_ms: Millis | None) -> datetime | None:
    """A bound as PostgreSQL takes it; ``None`` is open."""
    return None if at_ms is None else to_datetime(at_ms)


def _millis(at: datetime | None) -> Millis | None:
    return None if at is None else to_millis(at)
