"""
Run one stored cycle: share its partitions among workers, commit their pages.

Owns the retry of a page's transaction and what becomes of a partition that stops. Never chooses
what to walk.
Invariant: a partition's end, good or bad, is recorded; a cycle is finished by the store alone.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tenacity import AsyncRetrying

from syncer.api.decode import read_listed
from syncer.api.retry import retry_policy
from syncer.context import CatalogContext
from syncer.crawl import Fetched, Stride, crawl_partition
from syncer.domain import Checkpoint, Cycle, CycleKind, Page
from syncer.errors import ExitCode, SourceRejected, SyncerError, Verdict
from syncer.outcome import Tally
from syncer.planner.sweeping import seen_on
from syncer.store.effects import Effect, MoveCheckpoint
from syncer.store.merging import CommitResult
from syncer.store.rows import Batch, raw_batch_from_page, read_in_steps
from syncer.work import WorkPool


@dataclass(slots=True)
class CycleRun:
    """One cycle under way."""

    context: CatalogContext
    cycle: Cycle
    tally: Tally
    answers: dict[str, Fetched] = field(default_factory=dict)
    """First answers that were asked before the cycle was stored, by partition."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One page after the other: the first is done sooner, and the last no later."""
    _was_stopped: bool = False
    _is_filling: bool = False
    """Whether the last page was new to the mirror: then the next one need not be asked about."""

    @property
    def is_sweep(self) -> bool:
        """Whether the pages also say what is listed no more."""
        return self.cycle.kind is CycleKind.SWEEP

    @property
    def is_walked(self) -> bool:
        """Whether ``run`` came to the end of every partition that it did not report."""
        return not self._was_stopped

    async def run(self, checkpoints: tuple[Checkpoint, ...]) -> Mapping[str, SyncerError]:
        """Walk what is open; returns why partitions stopped, by name.

        Cancel-safe: yes; every page is one transaction.
        """
        context = self.context
        pool = WorkPool(
            checkpoints,
            horizon_ms=self.cycle.ceiling_ms or self.cycle.source_now_ms,
            page_size=context.page_size,
            stop=context.stop.child(),
            observer=context.voice.partitions_changed,
            queue_s=context.queue_s,
        )

        async def crawl(checkpoint: Checkpoint) -> None:
            await self._crawl(checkpoint, pool)

        failures = await pool.run(crawl, workers=context.max_concurrency)
        self._was_stopped = pool.stop.is_set
        if self.is_sweep:
            # What it did not see is yet to be confirmed.
            return failures
        if not self.tally.finished and not pool.stop.is_set:
            self.tally.finished = await context.pages.finish_cycle(
                self.cycle, context.watermark_rule()
            )
        return failures

    async def _crawl(self, checkpoint: Checkpoint, pool: WorkPool) -> None:
        context, partition = self.context, checkpoint.partition
        rule = context.watermark_rule()
        counted, began_s = Tally(), context.clock.monotonic()
        context.voice.partition_started(partition.name)

        async def commit(stride: Stride) -> None:
            seen = seen_on(stride.before.partition.walk, stride.page) if self.is_sweep else None
            effect = MoveCheckpoint(
                self.cycle, stride.before, stride.after, stride.cut_off, rule, seen
            )
            batch = await read_page(
                context, stride.page, is_new=self._is_filling, turn=self._reading
            )
            result = await commit_batch(
                context, partition.name, stride.page, batch, effect, self.tally, counted
            )
            self._is_filling = result.inserted > result.unchanged
            await pool.add(stride.cut_off)

        try:
            await crawl_partition(
                checkpoint,
                fetcher=context.fetcher(self.cycle.kind),
                commit=commit,
                cut=pool.cut,
                stop=pool.stop,
                first=self.answers.pop(partition.name, None),
            )
        except SyncerError as error:
            if not await self._is_dropped(checkpoint, error):
                raise
        else:
            context.voice.partition_finished(
                partition.name,
                counted,
                duration_s=context.clock.monotonic() - began_s,
                is_proof=partition.is_proof,
            )

    async def _is_dropped(self, checkpoint: Checkpoint, error: SyncerError) -> bool:
        """Record why a partition stopped; true when the cycle is complete without it."""
        context, partition = self.context, checkpoint.partition
        if error.verdict is Verdict.STOP:
            return False
        filtered = partition.type is not None or partition.tag is not None
        dropped = (
            isinstance(error, SourceRejected) and filtered and not context.scope_names(partition)
        )
        context.voice.partition_failed(partition.name, error, dropped=dropped)
        if dropped:
            await context.pages.drop_partition(checkpoint, error)
        elif error.exit_code is not ExitCode.LEASE_HELD:
            await self._record(checkpoint, error)
        return dropped

    async def _record(self, checkpoint: Checkpoint, error: SyncerError) -> None:
        """Keep the reason for ``status``; if the database is what failed, the log has it."""
        try:
            await self.context.pages.record_partition_error(checkpoint, error)
        except SyncerError as unrecorded:
            self.context.voice.database_trouble(unrecorded)


def store_policy(context: CatalogContext) -> AsyncRetrying:
    """Try a transaction again while the database is away, up to the retry deadline.

    Only for what finds out by itself whether an earlier try was stored.
    """

    def on_retry(*, error: SyncerError, delay_s: float, attempt: int) -> None:
        # What could not be stored is not in hand any more.
        context.stop.check()
        context.observer.database_awaited(context.name)
        context.voice.retry_scheduled(error=error, delay_s=delay_s, attempt=attempt)

    return retry_policy(
        deadline_s=context.retry_deadline_s,
        clock=context.clock,
        rng=context.rng,
        on_retry=on_retry,
    )


async def read_page(
    context: CatalogContext,
    page: Page,
    *,
    is_new: bool = False,
    turn: asyncio.Lock | None = None,
) -> Batch:
    """Read of a page what the mirror does not hold already.

    Args:
        context: of the page's catalog.
        page: as it was listed.
        is_new: all of it is to be read.
        turn: held while it is read; others go on with their own work meanwhile.

    Raises:
        StoreUnavailable: still so at the retry deadline.
    """
    raw = raw_batch_from_page(context.name, page)
    stored: Mapping[str, bytes | None] | None = None
    if not is_new:
        stored = await store_policy(context)(context.pages.recognise, raw)
    steps = read_in_steps(raw, read_listed, stored)
    async with turn or contextlib.nullcontext():
        while True:
            try:
                next(steps)
            except StopIteration as end:
                batch: Batch = end.value
                return batch
            await asyncio.sleep(0)


async def commit_page(
    context: CatalogContext, partition: str, page: Page, effect: Effect, *tallies: Tally
) -> None:
    """Read and store one page, again while the database is away, up to the retry deadline.

    Raises:
        StoreError, LeaseLost: as ``PageStore.commit_page``, when retrying does not help.
    Cancel-safe: yes; the outcome of the last try is then unknown and found out on resume.
    """
    await commit_batch(context, partition, page, await read_page(context, page), effect, *tallies)


async def commit_batch(
    context: CatalogContext,
    partition: str,
    page: Page,
    batch: Batch,
    effect: Effect,
    *tallies: Tally,
) -> CommitResult:
    """As ``commit_page``, for a page that was read already."""
    policy = store_policy(context)
    timed: tuple[CommitResult, float] = await policy(_timed_commit, context, batch, effect)
    result, duration_s = timed
    for tally in tallies:
        tally.add(len(page.entries), result)
    context.observer.page_committed(
        context.name, result, duration_s=duration_s, of_sweep=effect.sweep is not None
    )
    context.voice.page_committed(
        partition, batch, result, models=len(page.entries), size_bytes=page.size_bytes
    )
    return result


async def _timed_commit(
    context: CatalogContext, batch: Batch, effect: Effect
) -> tuple[CommitResult, float]:
    """One try, and how long it took: what was waited before it is not of the transaction."""
    began_s = context.clock.monotonic()
    result = await context.pages.commit_page(batch, effect)
    return result, context.clock.monotonic() - began_s
