"""
Commit one page: rows, checkpoint, quarantine and change records in a single transaction.

Owns the write path. Never decides what to fetch, how long to retry, or which walk comes next.
Invariant: after any outcome, the rows stored are exactly those the checkpoint claims; a version is
never replaced by an older one.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from syncer.domain import (
    Checkpoint,
    Cycle,
    CycleKind,
    Model,
    Partition,
    Unusable,
)
from syncer.errors import RowUnstorable, StoreConflict, SyncerError
from syncer.store.changes import Change, Compare, insert_changes
from syncer.store.effects import AlreadyCommitted, Effect, Merged, SweepPage
from syncer.store.lease import Lease, fenced
from syncer.store.merging import CommitResult, KeyInsertedMeanwhile, Merge
from syncer.store.pool import Connection, Pool, translate
from syncer.store.progress import WatermarkRule, finish_cycle, open_cycle, read_open_cycle
from syncer.store.queries import Queries
from syncer.store.rows import Batch, RawBatch, row_from_model, set_aside

MAX_CONFLICTS = 20
"""Rounds lost to other pages of ours; each one means that another page was committed."""


@dataclass(frozen=True, slots=True)
class PageStore:
    """Where pages are committed, under one lease."""

    pool: Pool
    queries: Queries
    lease: Lease
    statement_limit_s: float
    """For the one statement whose end the server alone cannot bound: COPY."""
    compare: Compare
    """Tells which fields of a row have changed."""

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
        async with fenced(self.pool, self.queries, self.lease) as connection:
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
        async with fenced(self.pool, self.queries, self.lease) as connection:
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
        async with fenced(self.pool, self.queries, self.lease) as connection:
            await connection.execute(self.queries[query], *values)

    async def _try_commit(self, batch: Batch, effect: Effect) -> CommitResult:
        async with fenced(self.pool, self.queries, self.lease) as connection:
            try:
                await effect.begin(connection, self.queries)
            except AlreadyCommitted:
                return CommitResult()
            merged, changes = await self._merge(connection, batch, effect.sweep)
            quarantined = await self._quarantine(connection, batch)
            merged = replace(merged, quarantined=quarantined)
            facts = Merged(merged.wrote, merged.older_ids)
            finished = await effect.finish(connection, self.queries, facts)
            # Last, after the effect: that may wait for a row of the catalog which another page
            # holds, and whoever has the turn to write changes must wait for nobody.
            await insert_changes(connection, self.queries, batch.catalog, changes)
            return replace(merged, cycle_finished=finished)

    async def _merge(
        self, connection: Connection, batch: Batch, sweep: SweepPage | None = None
    ) -> tuple[CommitResult, list[Change]]:
        """Fold the page in; returns what it changed, to be written down at the very end."""
        merge = Merge(
            connection, self.queries, batch, self.compare, statement_limit_s=self.statement_limit_s
        )
        return await merge.run(sweep)

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


def _refused(model: Model, error: RowUnstorable) -> Unusable:
    return Unusable(
        key=model.id,
        reason=error.message,
        raw=model.body,
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
        digest=model.content_hash,
    )
