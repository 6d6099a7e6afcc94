"""
One-shot work: backfill or sync some catalogs, once, and say how it ended.

Owns the lease of each catalog for the time of the command, and the deadline. Never prints.
Invariant: the result is derived from outcomes of committed cycles; catalogs do not stop each other.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncer.config import CatalogSettings, Settings
from syncer.details import fetch_details
from syncer.domain import Clock, Plan
from syncer.engine import Engine
from syncer.errors import DeadlineReached, ExitCode, Stopped, SyncerError
from syncer.jobs import CatalogResult, Job, carry_out, order_of
from syncer.ordering import acquire_or_order
from syncer.outcome import exit_code_of
from syncer.planner.choose import MirrorFacts, plan_backfill
from syncer.reading import open_existing
from syncer.retention import try_to_drop
from syncer.runtime import Runtime
from syncer.store.catalogs import CatalogStore, read_facts
from syncer.store.details import DetailCount, count_details
from syncer.store.lease import Lease
from syncer.store.queries import load_queries
from syncer.telemetry import Event, logger


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a one-shot command."""

    catalogs: tuple[CatalogResult, ...]
    open_quarantine: int
    removals_waiting: int
    uncounted: SyncerError | None = None
    """Why quarantine and waiting removals could not be counted."""

    def exit_code(self, stopped: SyncerError | None) -> ExitCode:
        """The documented exit code; ``stopped`` is why the work was asked to end, if it was."""
        codes = {code for result in self.catalogs for code in result.exit_codes}
        if isinstance(stopped, Stopped) and stopped.exit_code in codes:
            return stopped.exit_code
        if self.open_quarantine or self.removals_waiting:
            codes.add(ExitCode.NOT_ALL_WELL)
        if self.uncounted is not None:
            codes.add(self.uncounted.exit_code)
        return exit_code_of(codes)


@dataclass(frozen=True, slots=True)
class PlannedBackfill:
    """What a backfill would ask for."""

    plan: Plan
    detail_requests: int | None
    """One for each model whose details are open; ``None``: for each that it will find."""


async def run_job(runtime: Runtime, catalogs: Sequence[CatalogSettings], job: Job) -> JobResult:
    """Work on all catalogs at once, on one budget.

    Cancel-safe: yes; leases are released by the runtime.
    """
    await _retire_others(runtime)
    results = tuple(CatalogResult(catalog.name) for catalog in catalogs)
    async with (
        runtime.renewing(),
        _deadline(runtime, job.deadline_s),
        asyncio.TaskGroup() as work,
    ):
        for catalog, result in zip(catalogs, results, strict=True):
            work.create_task(
                _work_on(runtime, catalog, job, result), name=f"catalog {catalog.name}"
            )
    if job.follow:
        await try_to_drop(runtime, runtime.stop)
    return JobResult(results, *await _count_open(runtime, catalogs))


async def _work_on(
    runtime: Runtime, catalog: CatalogSettings, job: Job, result: CatalogResult
) -> None:
    try:
        lease = await _acquire(runtime, catalog, job)
        if not isinstance(lease, Lease):
            result.carried_out = lease
            return
        engine = Engine(runtime.context(catalog, lease))
        async for outcome in carry_out(engine, job):
            result.cycles.append(outcome)
        is_wanted = catalog.details and job.sweep is None
        if is_wanted and all(cycle.complete for cycle in result.cycles):
            result.details = await fetch_details(engine.context)
    except SyncerError as error:
        result.error = error


async def _acquire(
    runtime: Runtime, catalog: CatalogSettings, job: Job
) -> Lease | Mapping[str, Any]:
    """The lease, or what its holder made of the job, where that may be ordered."""
    ordered = order_of(job)
    if ordered is None:
        return await runtime.keeper.acquire(catalog.name)
    return await acquire_or_order(runtime, catalog, *ordered)


async def _retire_others(runtime: Runtime) -> None:
    store = CatalogStore(runtime.pool, runtime.queries)
    for name in await store.retire_others([each.name for each in runtime.settings.catalogs]):
        logger(catalog=name).warning(
            Event.CATALOG_RETIRED, hint="it is gone from the configuration; its rows stay"
        )


async def _count_open(
    runtime: Runtime, catalogs: Sequence[CatalogSettings]
) -> tuple[int, int, SyncerError | None]:
    """What waits for an operator, or why nobody knows: then nobody can say that all is well."""
    store = CatalogStore(runtime.pool, runtime.queries)
    try:
        return *await store.count_open([catalog.name for catalog in catalogs]), None
    except SyncerError as error:
        return 0, 0, error


@contextlib.asynccontextmanager
async def _deadline(runtime: Runtime, deadline_s: float | None) -> AsyncIterator[None]:
    """Ask the work to stop between two pages when its time is up."""
    if deadline_s is None:
        yield
        return

    async def ring() -> None:
        await runtime.clock.sleep(deadline_s)
        runtime.stop.set(DeadlineReached(f"the deadline of {deadline_s:g} s was reached"))

    async with asyncio.TaskGroup() as group:
        alarm = group.create_task(ring(), name="deadline")
        yield
        alarm.cancel()


async def plan_backfills(
    settings: Settings, catalogs: Sequence[CatalogSettings], clock: Clock
) -> dict[str, PlannedBackfill]:
    """The backfill that would run for each catalog; asks nobody but the mirror, writes nothing."""
    plans: dict[str, PlannedBackfill] = {}
    queries = load_queries()
    async with open_existing(settings, clock) as connection:
        for catalog in catalogs:
            facts, details = MirrorFacts(), DetailCount()
            if connection is not None:
                by_type, by_tag = await read_facts(connection, queries, catalog.name)
                facts = MirrorFacts(sum(by_type.values()), by_type, by_tag)
                if catalog.details:
                    counts = await count_details(connection, queries, [catalog.name])
                    details = counts.get(catalog.name, details)
            plan = plan_backfill(
                catalog.scope,
                catalog.partition_by,
                facts,
                page_size=settings.source.page_size,
            )
            unknown = catalog.details and not facts.models
            plans[catalog.name] = PlannedBackfill(plan, None if unknown else details.open)
    return plans
