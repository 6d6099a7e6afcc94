"""
What a sweep has not seen, and its end: the tombstones.

Owns the seen-set and the transaction that ends a sweep. Never asks the source, never decides
whether removals may pass: the verdict is a function that is passed in.
Invariant: tombstones, their change records, the guard's count and the end of the sweep commit
together; an incomplete sweep removes nothing. Everything about single models stays on the server,
whatever their number.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from syncer.domain import Absences, Cycle, Millis, Scope, SentOrder, to_datetime, to_millis
from syncer.errors import SweepRefused, SyncerError
from syncer.store.changes import insert_removals
from syncer.store.lease import Lease, fenced
from syncer.store.pool import Connection, Pool, translate
from syncer.store.progress import WatermarkRule, finish_cycle
from syncer.store.queries import Queries
from syncer.store.rows import Batch

Verdict = Callable[[Absences], SweepRefused | None]
"""Why removals must wait; ``None`` lets them pass."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A model that is about to be removed, with what may tell why it is gone."""

    id: str
    type: str | None
    tags: tuple[str, ...]
    collection_ids: tuple[str, ...]
    status: str | None


@dataclass(frozen=True, slots=True)
class ListingComparison:
    """What a complete listing on one page says of the mirror, beyond what it brings."""

    unlisted: int
    """Live models that it does not hold."""
    has_others: bool
    """Whether it shows versions older than ours, or lacks records that are in quarantine."""

    @property
    def is_equal(self) -> bool:
        """Whether there is nothing but what it brings."""
        return not self.unlisted and not self.has_others

    def is_waiting(self, removals: int) -> bool:
        """Whether a sweep would find no more than these removals, which wait already."""
        return not self.has_others and 0 < self.unlisted == removals


@dataclass(frozen=True, slots=True)
class SweepEnd:
    """How a sweep ended."""

    removed: int = 0
    waiting: int = 0
    refused: SweepRefused | None = None


@dataclass(frozen=True, slots=True)
class SweepStore:
    """Reads and ends sweeps, under one lease."""

    pool: Pool
    queries: Queries
    lease: Lease

    async def compare_listing(self, batch: Batch) -> ListingComparison:
        """Compare a page that is the whole listing with what is live in the mirror."""
        usable = batch.usable
        ids = [model.id for model in usable]
        times = [to_datetime(model.updated_ms) for model in usable]
        listed = [*ids, *(entry.key for entry in batch.unusable)]
        with translate():
            async with self.pool.acquire() as connection:
                record = await connection.fetchrow(
                    self.queries["compare_listing"], batch.catalog, listed, ids, times
                )
        if record is None:
            raise SyncerError("a comparison came back without a row")
        return ListingComparison(**record)

    async def read_suspects(self, sweep: Cycle, *, limit: int) -> tuple[Millis, ...]:
        """The instants at which to ask again, at most ``limit`` of them."""
        with translate():
            async with self.pool.acquire() as connection:
                records = await connection.fetch(
                    self.queries["read_suspects"], sweep.cycle_id, limit
                )
        return tuple(to_millis(record["created_at"]) for record in records)

    async def count_absences(self, sweep: Cycle) -> Absences:
        """What the guard looks at, as of now."""
        with translate():
            async with self.pool.acquire() as connection:
                return await self._count(connection, sweep)

    async def sample_unseen(self, sweep: Cycle, *, limit: int) -> tuple[Suspect, ...]:
        """Some of the models that the sweep would remove, by id."""
        with translate():
            async with self.pool.acquire() as connection:
                records = await connection.fetch(
                    self.queries["sample_unseen"], sweep.cycle_id, limit
                )
        return tuple(
            Suspect(
                id=record["id"],
                type=record["type"],
                tags=tuple(record["tags"] or ()),
                collection_ids=tuple(record["collection_ids"] or ()),
                status=record["status"],
            )
            for record in records
        )

    async def list_live(self, catalog: str, ids: list[str]) -> dict[str, Millis]:
        """Those of some models that are live in the mirror, with their ``createdAt``."""
        with translate():
            async with self.pool.acquire() as connection:
                records = await connection.fetch(self.queries["list_live"], catalog, ids)
        return {record["id"]: to_millis(record["created_at"]) for record in records}

    async def remove_deleted(self, ids: list[str], confirmed_by: SentOrder) -> int:
        """Set the tombstones of models that the deleted feed named; returns how many.

        Cancel-safe: yes; removed twice is removed.
        """
        async with fenced(self.pool, self.queries, self.lease) as connection:
            await connection.fetch(self.queries["lock_models"], self.lease.catalog, ids)
            removed = await connection.fetch(
                self.queries["remove_deleted"], self.lease.catalog, ids, confirmed_by
            )
            await insert_removals(connection, self.queries, self.lease.catalog, len(removed))
            return len(removed)

    async def finish(
        self,
        sweep: Cycle,
        *,
        scope: Scope,
        confirmed_by: SentOrder,
        reasons: Mapping[str, str],
        verdict: Verdict,
        watermark_rule: WatermarkRule,
    ) -> SweepEnd:
        """Remove what was not seen, unless the verdict is that it must wait, and end the sweep.

        Args:
            sweep: all its partitions are complete.
            scope: tells which of the removed models its filters leave out.
            confirmed_by: the last request that confirmed an absence; later ones may undo it.
            reasons: why models are gone, by id; the others are just absent.
            verdict: the guard.
            watermark_rule: what the sweep proves.

        Cancel-safe: yes; a sweep whose end was not noticed is not open any more.
        """
        async with fenced(self.pool, self.queries, self.lease) as connection:
            if await connection.fetchval(self.queries["read_cycle_finished"], sweep.cycle_id):
                return await self._read_end(connection, sweep)
            await connection.execute(self.queries["lock_unseen"], sweep.cycle_id)
            absences = await self._count(connection, sweep)
            refused = verdict(absences) if absences.absent else None
            end = SweepEnd(waiting=absences.absent, refused=refused)
            if absences.absent and refused is None:
                removed = await connection.fetchval(
                    self.queries["remove_unseen"],
                    sweep.cycle_id,
                    confirmed_by,
                    list(reasons),
                    list(reasons.values()),
                    *_filters(scope),
                )
                end = SweepEnd(removed=removed)
            if refused is None and not absences.is_listing_empty:
                await connection.execute(self.queries["clear_unlisted"], sweep.cycle_id)
            if not await finish_cycle(connection, self.queries, sweep, watermark_rule):
                raise SyncerError(f"sweep {sweep.cycle_id} was to end with a partition open")
            if end.refused is not None:
                await connection.execute(
                    self.queries["hold_removals"],
                    sweep.catalog,
                    end.waiting,
                    end.refused.message,
                    end.refused.hint,
                )
            await connection.execute(self.queries["delete_seen"], sweep.cycle_id)
            await insert_removals(connection, self.queries, sweep.catalog, end.removed)
            return end

    async def _read_end(self, connection: Connection, sweep: Cycle) -> SweepEnd:
        """How a sweep ended whose last commit was durable although its answer was lost."""
        record = await connection.fetchrow(self.queries["read_waiting"], sweep.catalog)
        if record is None or not record["removals_waiting"]:
            return SweepEnd()
        refused = SweepRefused(record["last_error_message"], hint=record["last_error_hint"])
        return SweepEnd(waiting=record["removals_waiting"], refused=refused)

    async def _count(self, connection: Connection, sweep: Cycle) -> Absences:
        record = await connection.fetchrow(
            self.queries["read_absences"], sweep.catalog, sweep.cycle_id
        )
        if record is None:
            raise SyncerError("an aggregate came back without a row")
        return Absences(**record)


def _filters(scope: Scope) -> tuple[list[str], list[str], list[str], str | None]:
    collections = [*scope.collection_ids, *([scope.collection_id] if scope.collection_id else [])]
    return list(scope.types), list(scope.tags), collections, scope.status
