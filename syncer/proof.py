"""
Prove that the mirror is right, or say where it is not; mend it if asked to.

Owns what ``verify`` and ``sweep --dry-run`` do on several catalogs. Never compares by itself.
Invariant: comparing takes no lease and writes nothing but what ``verify`` found, for monitors;
mending is a sweep like any other, through the same guard, by whoever holds the lease.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from syncer.config import CatalogSettings
from syncer.engine import Engine
from syncer.errors import ExitCode, SyncerError
from syncer.jobs import CatalogResult, Job, SweepJob, carry_out, order_of
from syncer.ordering import acquire_or_order
from syncer.planner.guard import refusal
from syncer.runtime import Runtime
from syncer.store.catalogs import CatalogStore
from syncer.store.lease import Lease, read_leases
from syncer.verify import Comparer, Comparison

POLL_MARGIN_S = 10.0
"""For the two polls of a holder that are waited for, beyond their intervals."""


@dataclass(slots=True)
class Verified:
    """What became of one catalog."""

    catalog: str
    comparison: Comparison | None = None
    """The last one; ``None`` when it could not be made."""
    repaired: int = 0
    error: SyncerError | None = None
    """Why there is no comparison, or why not all could be mended."""

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """What this catalog contributes to the exit code."""
        codes = set() if self.error is None else {self.error.exit_code}
        if self.comparison is not None and not self.comparison.is_equal:
            codes.add(ExitCode.NOT_ALL_WELL)
        return frozenset(codes or {ExitCode.OK})


Look = Callable[[Runtime, CatalogSettings, Verified], Awaitable[None]]
"""What is done on one catalog; fills in what became of it."""


async def verify_catalogs(
    runtime: Runtime, catalogs: Sequence[CatalogSettings], *, repair: bool
) -> tuple[Verified, ...]:
    """Compare catalogs with the source, all at once on one budget, and keep what was found.

    Cancel-safe: yes; a repair that was begun is a sweep, which is resumed.
    """
    return await _each(runtime, catalogs, partial(_verify, repair=repair))


async def preview_sweeps(
    runtime: Runtime, catalogs: Sequence[CatalogSettings], *, allowed: int | None
) -> tuple[tuple[Verified, str | None], ...]:
    """What sweeps would do now, and why the guard would hold their removals back."""
    previews: list[tuple[Verified, str | None]] = []
    for catalog, result in zip(catalogs, await _each(runtime, catalogs, _look), strict=True):
        held_back = None
        if result.comparison is not None:
            held_back = refusal(
                result.comparison.absences,
                max_removed_fraction=catalog.max_removed_fraction,
                allowed=allowed,
            )
        previews.append((result, held_back))
    return tuple(previews)


async def _each(
    runtime: Runtime, catalogs: Sequence[CatalogSettings], look: Look
) -> tuple[Verified, ...]:
    results = tuple(Verified(catalog.name) for catalog in catalogs)
    async with runtime.renewing(), asyncio.TaskGroup() as group:
        for catalog, result in zip(catalogs, results, strict=True):
            group.create_task(
                _told(runtime, catalog, result, look=look), name=f"verify {catalog.name}"
            )
    return results


async def _told(
    runtime: Runtime, catalog: CatalogSettings, result: Verified, *, look: Look
) -> None:
    try:
        await look(runtime, catalog, result)
    except SyncerError as error:
        result.error = error


async def _look(runtime: Runtime, catalog: CatalogSettings, result: Verified) -> None:
    result.comparison = await _compare(runtime, catalog)


async def _verify(
    runtime: Runtime, catalog: CatalogSettings, result: Verified, *, repair: bool
) -> None:
    result.comparison = last = before = await _compare(runtime, catalog)
    if repair and not before.is_equal:
        result.error = await _repair(runtime, catalog, before)
        result.comparison = last = await _compare(runtime, catalog)
        result.repaired = len(before.suspects.found.keys() - last.suspects.found.keys())
    await CatalogStore(runtime.pool, runtime.queries).record_verified(
        catalog.name, catalog.scope, len(last.suspects.found)
    )


async def _compare(runtime: Runtime, catalog: CatalogSettings) -> Comparison:
    patience_s = 0.0
    async with runtime.pool.acquire() as connection:
        leases = await read_leases(connection, runtime.queries, catalogs=[catalog.name])
    is_ours = catalog.name in runtime.keeper.held
    if not is_ours and any(lease.holder and not lease.expired for lease in leases):
        patience_s = 2 * catalog.poll_interval_s + POLL_MARGIN_S
    return await Comparer(runtime.reading_context(catalog), patience_s).compare()


async def _repair(
    runtime: Runtime, catalog: CatalogSettings, found: Comparison
) -> SyncerError | None:
    """Write anew what is stale, and sweep; returns what stood in the way."""
    doubt = {
        model_id: versions
        for model_id, versions in found.suspects.versions.items()
        if model_id in found.suspects.found
    }
    job = Job(follow=False, sweep=SweepJob(), doubt=doubt)
    ordered = order_of(job)
    if ordered is None:
        raise SyncerError("a repair is not an order")
    lease = await acquire_or_order(runtime, catalog, *ordered)
    result = CatalogResult(catalog.name)
    if isinstance(lease, Lease):
        async for outcome in carry_out(Engine(runtime.context(catalog, lease)), job):
            result.cycles.append(outcome)
    else:
        result.carried_out = lease
    return next(iter(result.errors), None)
