"""
Fold a page's models into the mirror, within its transaction.

Owns which stored row a version meets, the locks, and what is counted. Never commits, never writes
the change records: it hands over what they will say.
Invariant: outcome and change come from the locked row; rows are locked in key order, by a statement
of their own, before any of them is written.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from asyncpg.exceptions import UniqueViolationError

from syncer.domain import Cycle, Millis, Model, to_datetime, to_millis
from syncer.store.binary import encode_rows
from syncer.store.changes import Change, Compare, Rewritten, insertions, rewritings
from syncer.store.copying import copy_rows
from syncer.store.effects import SweepPage
from syncer.store.pool import Connection
from syncer.store.queries import Queries
from syncer.store.rows import Batch, row_from_model


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
    body: bytes


@dataclass(frozen=True, slots=True)
class Merge:
    """One page, in its transaction."""

    connection: Connection
    queries: Queries
    batch: Batch
    compare: Compare
    statement_limit_s: float

    async def run(self, sweep: SweepPage | None = None) -> tuple[CommitResult, list[Change]]:
        """Choose, lock in key order, compare again, write.

        Returns:
            what was counted, and what has changed, which belongs at the end of the transaction.

        Raises:
            KeyInsertedMeanwhile: the whole page must go round again.
        """
        batch = self.batch
        fresh, known, stale = await self._choose()
        unchanged = len(batch.same) + len(batch.models) - len(fresh) - len(known) - len(stale)
        locked = await self._lock(known) if known else {}
        if fresh:
            await self._insert(fresh)
        written = await self._update(known) if known else set()
        restored = sum(locked[model_id].removed for model_id in written)
        changes = insertions(fresh) + await self._changes(known, written, locked)
        rewound: set[str] = set()
        if sweep is not None and sweep.is_second_question and stale:
            before = await self._lock(stale)
            rewound = await self._rewind(stale, sweep.cycle)
            changes += await self._changes(stale, rewound, before)
        result = CommitResult(
            inserted=len(fresh),
            updated=len(written) - restored,
            restored=restored,
            unchanged=unchanged,
            stale=len(stale) + len(known) - len(written) - len(rewound),
            rewound=len(rewound),
            older_ids=tuple(model.id for model in stale),
        )
        if sweep is None:
            return result, changes
        finds = [
            (model, locked[model.id].updated_ms)
            for model in known
            if model.id in written and not locked[model.id].removed
        ]
        return _told_apart(result, finds, sweep.cycle), changes

    async def _changes(
        self, models: list[Model], written: set[str], before: dict[str, _Locked]
    ) -> list[Change]:
        rows = (
            Rewritten(model, before[model.id].body, before[model.id].removed)
            for model in models
            if model.id in written
        )
        return await rewritings(rows, self.compare)

    async def _choose(self) -> tuple[list[Model], list[Model], list[Model]]:
        """The models that are new, those that differ, and those that are older than the stored."""
        batch = self.batch
        if not batch.models:
            return [], [], []
        records = await self.connection.fetch(
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

    async def _lock(self, known: list[Model]) -> dict[str, _Locked]:
        """Lock rows in key order; returns them as they were before, by id."""
        records = await self.connection.fetch(
            self.queries["lock_contents"], self.batch.catalog, [model.id for model in known]
        )
        return {
            record["id"]: _Locked(
                record["removed"], to_millis(record["updated_at"]), record["body"]
            )
            for record in records
        }

    async def _insert(self, models: list[Model]) -> None:
        """Binary COPY straight into the table: twice as fast as any INSERT of the same rows.

        Raises:
            KeyInsertedMeanwhile: another page brought one of them first; the whole page goes
                round again and finds it there.
            TimeoutError: the connection was lost while it wrote, or the limit was reached.
        """
        try:
            chunks = encode_rows(self.batch, models)
            await copy_rows(self.connection, chunks, limit_s=self.statement_limit_s)
        except UniqueViolationError as error:
            raise KeyInsertedMeanwhile from error

    async def _update(self, models: list[Model]) -> set[str]:
        rows = [row_from_model(self.batch, model) for model in models]
        records = await self.connection.fetch(
            self.queries["update_models"], rows, self.batch.catalog
        )
        return {record["id"] for record in records}

    async def _rewind(self, stale: list[Model], sweep: Cycle) -> set[str]:
        """Take versions that are older than ours, where the sweep was shown them, too."""
        settled_ms = sweep.source_now_ms if sweep.low_ms is None else sweep.low_ms
        records = await self.connection.fetch(
            self.queries["rewind_models"],
            [row_from_model(self.batch, model) for model in stale],
            self.batch.catalog,
            sweep.cycle_id,
            to_datetime(settled_ms),
            to_datetime(sweep.source_now_ms),
        )
        return {record["id"] for record in records}


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
