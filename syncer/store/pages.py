"""
Commit one page: rows, checkpoint and quarantine in a single transaction.

Owns the write path. Never decides what to fetch, how long to retry, or which walk comes next.
Invariant: after any outcome, the rows stored are exactly those the checkpoint claims; a version is
never replaced by an older one.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from asyncpg.exceptions import UniqueViolationError

from syncer.domain import (
    Checkpoint,
    Cycle,
    CycleKind,
    Millis,
    Model,
    Partition,
    Unusable,
    to_datetime,
    to_millis,
)
from syncer.errors import RowUnstorable, StoreConflict, SyncerError
from syncer.store.binary import encode_rows
from syncer.store.copying import copy_rows
from syncer.store.effects import AlreadyCommitted, Effect, Merged, SweepPage
from syncer.store.lease import Lease, fence
from syncer.store.pool import Connection, Pool, translate
from syncer.store.progress import WatermarkRule, finish_cycle, open_cycle, read_open_cycle
from syncer.store.queries import Queries
from syncer.store.rows import Batch, RawBatch, row_from_model, set_aside

MAX_CONFLICTS = 20
"""Rounds lost to other pages of ours; each one means that another page was committed."""


class KeyInsertedMeanwhile(Exception):
    """Another page inserted one of this page's models first."""


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a page changed, counted from the rows that were locked."""

    inserted: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    stale: int = 0
    quarantined: int = 0
    rewound: int = 0
    missed_ids: tuple[str, ...] = ()
    """Found by a sweep although a delta walk should have brought them: a bug."""
    unannounced: int = 0
    older_ids: tuple[str, ...] = ()
    """Models that the page shows older than they are stored."""
    cycle_finished: bool = False

    @property
    def missed(self) -> int:
        """How many of them."""
        return len(self.missed_ids)

    @property
    def wrote(self) -> bool:
        """Whether any row of the mirror or the quarantine changed."""
        return bool(
            self.inserted or self.updated or self.restored or self.rewound or self.quarantined
        )


@dataclass(frozen=True, slots=True)
class _Locked:
    """A row of the mirror as it was when it was locked."""

    removed: bool
    updated_ms: Millis


@dataclass(frozen=True, slots=True)
class PageStore:
    """Where pages are committed, under one lease."""

    pool: Pool
    queries: Queries
    lease: Lease
    statement_limit_s: float
    """For the one statement whose end the server alone cannot bound: COPY."""

    async def commit_page(self, batch: Batch, effect: Effect) -> CommitResult:
        """Store a page and its effect together.

        Raises:
            LeaseLost: the lease has another epoch; nothing was written.
            CheckpointMoved: the checkpoint is not where this page found it.
            StoreConflict: a deadlock or serialisation failure; calling again is safe.
            StoreUnavailable: the outcome is unknown; calling again with the same arguments is
                safe and finds out.
        Cancel-safe: yes. The transaction is the only effect; after a cancellation its outcome is
        unknown and the checkpoint must be read again.
        """
        for _round in range(MAX_CONFLICTS):
            try:
                return await self._try_commit(batch, effect)
            except RowUnstorable:
                batch = await self._set_aside_unstorable(batch)
            except KeyInsertedMeanwhile:
                continue
        raise StoreConflict(
            f"a page met other pages with the same models {MAX_CONFLICTS} times in a row",
            hint="Run the command again; with partition_by = 'time' pages do not overlap.",
        )

    async def recognise(self, raw: RawBatch) -> dict[str, bytes | None]:
        """Tell which of a page's records need not be read: those stored with the same text.

        Returns, for each other one, the content hash of its live row, ``None`` without such a row.
        Only says what is worth reading; the merge looks again.
        """
        if not raw.records:
            return {}
        with translate():
            async with self.pool.acquire() as connection:
                records = await connection.fetch(
                    self.queries["recognise_models"],
                    raw.catalog,
                    [record.id for record in raw.records],
                    [record.fingerprint for record in raw.records],
                )
        return {record["id"]: record["content_hash"] for record in records}

    async def open_cycle(
        self, cycle: Cycle, partitions: Iterable[Partition]
    ) -> tuple[Cycle, tuple[Checkpoint, ...]]:
        """Store a new cycle and its partitions.

        Cancel-safe: yes; a cycle that was stored unnoticed is resumed by the next run.
        """
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                return await open_cycle(connection, self.queries, cycle, partitions)

    async def read_open_cycle(
        self, catalog: str, kind: CycleKind
    ) -> tuple[Cycle, tuple[Checkpoint, ...]] | None:
        """The unfinished cycle of a kind and where its partitions stand."""
        with translate():
            async with self.pool.acquire() as connection:
                return await read_open_cycle(connection, self.queries, catalog, kind)

    async def finish_cycle(self, cycle: Cycle, watermark_rule: WatermarkRule) -> bool:
        """End the cycle if nothing of it is open; returns whether it has ended."""
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                ended = await finish_cycle(connection, self.queries, cycle, watermark_rule)
                return ended or await self._is_finished(connection, cycle)

    async def _is_finished(self, connection: Connection, cycle: Cycle) -> bool:
        """Whether an earlier commit ended it, maybe one whose answer was lost."""
        finished = await connection.fetchval(self.queries["read_cycle_finished"], cycle.cycle_id)
        return bool(finished)

    async def drop_partition(self, checkpoint: Checkpoint, error: SyncerError) -> None:
        """The source no longer accepts the partition's filter: it is out of the cycle."""
        await self._execute(
            "drop_partition",
            checkpoint.cycle_id,
            checkpoint.partition.name,
            error.message,
            error.hint,
        )

    async def record_partition_error(self, checkpoint: Checkpoint, error: SyncerError) -> None:
        """Say in ``status`` why a partition stopped. Its checkpoint stays where it is."""
        await self._execute(
            "record_partition_error",
            checkpoint.cycle_id,
            checkpoint.partition.name,
            error.message,
            error.hint,
        )

    async def _execute(self, query: str, *values: object) -> None:
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                await connection.execute(self.queries[query], *values)

    async def _try_commit(self, batch: Batch, effect: Effect) -> CommitResult:
        with translate():
            async with self.pool.acquire() as connection, connection.transaction():
                await fence(connection, self.lease, self.queries)
                try:
                    await effect.begin(connection, self.queries)
                except AlreadyCommitted:
                    return CommitResult()
                merged = await self._merge(connection, batch, effect.sweep)
                quarantined = await self._quarantine(connection, batch)
                merged = replace(merged, quarantined=quarantined)
                facts = Merged(merged.wrote, merged.older_ids)
                finished = await effect.finish(connection, self.queries, facts)
                return replace(merged, cycle_finished=finished)

    async def _merge(
        self, connection: Connection, batch: Batch, sweep: SweepPage | None = None
    ) -> CommitResult:
        """Choose, lock in key order, compare again, write.

        The change history (``scenario.model_changes``) belongs between the last write here and
        ``effect.finish``: the locked rows hold the versions before, and the change ids must be
        drawn last.
        """
        fresh, known, stale = await self._choose(connection, batch)
        unchanged = len(batch.same) + len(batch.models) - len(fresh) - len(known) - len(stale)
        locked = await self._lock(connection, batch, known) if known else {}
        if fresh:
            await self._insert(connection, batch, fresh)
        written = await self._update(connection, batch, known) if known else set()
        restored = sum(locked[model_id].removed for model_id in written)
        rewound = 0
        if sweep is not None and sweep.is_second_question and stale:
            rewound = await self._rewind(connection, batch, stale, sweep.cycle)
        result = CommitResult(
            inserted=len(fresh),
            updated=len(written) - restored,
            restored=restored,
            unchanged=unchanged,
            stale=len(stale) + len(known) - len(written) - rewound,
            rewound=rewound,
            older_ids=tuple(model.id for model in stale),
        )
        if sweep is None:
            return result
        finds = [
            (model, locked[model.id].updated_ms)
            for model in known
            if model.id in written and not locked[model.id].removed
        ]
        return _told_apart(result, finds, sweep.cycle)

    async def _choose(
        self, connection: Connection, batch: Batch
    ) -> tuple[list[Model], list[Model], list[Model]]:
        """The models that are new, those that differ, and those that are older than the stored."""
        if not batch.models:
            return [], [], []
        records = await connection.fetch(
            self.queries["choose_models"],
            batch.catalog,
            [model.id for model in batch.models],
            [model.content_hash for model in batch.models],
            [to_datetime(model.updated_ms) for model in batch.models],
        )
        places: dict[str, list[int]] = {"new": [], "differs": [], "stale": []}
        for record in records:
            places[record["verdict"]].append(record["position"] - 1)
        fresh, known, stale = (
            [batch.models[place] for place in sorted(places[verdict])]
            for verdict in ("new", "differs", "stale")
        )
        return fresh, known, stale

    async def _lock(
        self, connection: Connection, batch: Batch, known: list[Model]
    ) -> dict[str, _Locked]:
        """Lock rows in key order; returns them as they were before, by id."""
        records = await connection.fetch(
            self.queries["lock_models"], batch.catalog, [model.id for model in known]
        )
        return {
            record["id"]: _Locked(record["removed"], to_millis(record["updated_at"]))
            for record in records
        }

    async def _insert(self, connection: Connection, batch: Batch, models: list[Model]) -> None:
        """Binary COPY straight into the table: twice as fast as any INSERT of the same rows.

        Raises:
            KeyInsertedMeanwhile: another page brought one of them first; the whole page goes
                round again and finds it there.
            TimeoutError: the connection was lost while it wrote, or the limit was reached.
        """
        try:
            chunks = encode_rows(batch, models)
            await copy_rows(connection, chunks, limit_s=self.statement_limit_s)
        except UniqueViolationError as error:
            raise KeyInsertedMeanwhile from error

    async def _update(self, connection: Connection, batch: Batch, models: list[Model]) -> set[str]:
        rows = [row_from_model(batch, model) for model in models]
        records = await connection.fetch(self.queries["update_models"], rows, batch.catalog)
        return {record["id"] for record in records}

    async def _rewind(
        self, connection: Connection, batch: Batch, stale: list[Model], sweep: Cycle
    ) -> int:
        """Take versions that are older than ours, where the sweep was shown them, too."""
        await self._lock(connection, batch, stale)
        settled_ms = sweep.source_now_ms if sweep.low_ms is None else sweep.low_ms
        records = await connection.fetch(
            self.queries["rewind_models"],
            [row_from_model(batch, model) for model in stale],
            batch.catalog,
            sweep.cycle_id,
            to_datetime(settled_ms),
            to_datetime(sweep.source_now_ms),
        )
        return len(records)

    async def _quarantine(self, connection: Connection, batch: Batch) -> int:
        """Keep what is unusable, let go of what has become readable; returns how many changed."""
        changed = 0
        for entry in batch.unusable:
            digest = entry.digest or hashlib.sha256(entry.raw).digest()
            key = await connection.fetchval(
                self.queries["upsert_quarantine"],
                batch.catalog,
                entry.key,
                entry.reason,
                entry.raw,
                digest,
                batch.sent_order,
            )
            changed += key is not None
        if readable := batch.ids:
            await connection.execute(
                self.queries["clear_quarantine"], batch.catalog, readable, batch.sent_order
            )
        return changed

    async def _set_aside_unstorable(self, batch: Batch) -> Batch:
        """Find the models that PostgreSQL refuses, by halves, and move them to quarantine."""
        with translate():
            async with self.pool.acquire() as connection:
                refused = await self._find_refused(connection, batch, list(batch.models))
        if not refused:
            raise StoreConflict("PostgreSQL refused a page but accepts each of its models alone")
        return set_aside(batch, refused)

    async def _find_refused(
        self, connection: Connection, batch: Batch, models: list[Model]
    ) -> list[Unusable]:
        try:
            with translate():
                rows = [row_from_model(batch, model) for model in models]
                await connection.execute(self.queries["check_rows"], rows)
        except RowUnstorable as error:
            if len(models) == 1:
                return [_refused(models[0], error)]
            middle = len(models) // 2
            left = await self._find_refused(connection, batch, models[:middle])
            return left + await self._find_refused(connection, batch, models[middle:])
        return []


def _told_apart(
    result: CommitResult, finds: list[tuple[Model, Millis]], sweep: Cycle
) -> CommitResult:
    """Say of what a sweep has found whether a delta walk should have brought it.

    Args:
        result: what the page did.
        finds: updated models, each with the ``updatedAt`` that was stored.
        sweep: knows below which time delta walks had read everything.
    """
    silent = sum(model.updated_ms == stored_ms for model, stored_ms in finds)
    missed = tuple(
        model.id
        for model, stored_ms in finds
        if sweep.low_ms is not None and stored_ms < model.updated_ms < sweep.low_ms
    )
    return replace(result, unannounced=result.inserted + silent, missed_ids=missed)


def _refused(model: Model, error: RowUnstorable) -> Unusable:
    return Unusable(
        key=model.id,
        reason=error.message,
        raw=model.body,
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
        digest=model.content_hash,
    )
