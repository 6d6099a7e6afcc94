"""
Ask again for quarantined models, one instant at a time.

Owns the targeted question: the listing at a model's ``createdAt``. Never uses ``GET /models/{id}``,
whose records carry fields that no list row has and would count as changes.
Invariant: a model that became readable leaves the quarantine in the transaction that stores it.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from syncer.api.decode import decode_model
from syncer.config import CatalogSettings
from syncer.context import CatalogContext
from syncer.cycle import commit_page
from syncer.domain import CycleKind, Millis, SortKey, Walk
from syncer.errors import ExitCode
from syncer.ordering import acquire_or_order
from syncer.outcome import Tally
from syncer.runtime import Runtime
from syncer.span import read_span
from syncer.store.effects import NoEffect
from syncer.store.lease import Lease
from syncer.store.orders import OrderKind
from syncer.store.pool import translate
from syncer.store.status import QuarantineRow, list_quarantine

_PARTITION = "quarantine"


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of a retry."""

    asked: int
    left: int
    """Still in quarantine and not dismissed."""
    unplaced: tuple[str, ...]
    """Keys that cannot be asked for alone."""
    unknown: frozenset[str]
    """Keys that were named, but are in no quarantine, not even dismissed."""
    exit_codes: frozenset[ExitCode] = frozenset()
    """What other processes said of the part that was left to them."""

    @property
    def cleared(self) -> int:
        """Readable now."""
        return self.asked - self.left


async def retry_quarantine(
    runtime: Runtime, catalogs: Sequence[CatalogSettings], keys: Sequence[str]
) -> RetryResult:
    """Ask again for the quarantined models of some catalogs; no keys means all.

    A process that holds a catalog's lease is asked to do it.

    Raises:
        LeaseHeld: another process holds a lease and is busy.
        SourceError, StoreError: as the crawl.
    """
    names = [catalog.name for catalog in catalogs]
    listed = await _read(runtime, names, keys)
    before = _open(listed)
    unplaced: list[str] = []
    codes: set[ExitCode] = set()
    for catalog in catalogs:
        rows = [row for row in before if row.catalog == catalog.name]
        if not rows:
            continue
        said = {"keys": [row.key for row in rows]}
        async with runtime.renewing():
            lease = await acquire_or_order(runtime, catalog, OrderKind.RETRY, said)
            if isinstance(lease, Lease):
                unplaced.extend(await retry_models(runtime.context(catalog, lease), rows))
            else:
                unplaced.extend(lease.get("unplaced", ()))
                codes.add(ExitCode(lease["exit_code"]))
    after = await _read(runtime, names, [row.key for row in before]) if before else ()
    unknown = frozenset(keys) - {row.key for row in listed}
    left = len(_open(after))
    return RetryResult(len(before), left, tuple(unplaced), unknown, frozenset(codes))


async def retry_keys(
    runtime: Runtime, context: CatalogContext, keys: Sequence[str]
) -> tuple[str, ...]:
    """As ``retry_models``, for the process that was asked to."""
    return await retry_models(context, _open(await _read(runtime, [context.name], keys)))


async def _read(
    runtime: Runtime, names: Sequence[str], keys: Sequence[str]
) -> tuple[QuarantineRow, ...]:
    with translate():
        async with runtime.pool.acquire() as connection:
            return await list_quarantine(connection, runtime.queries, catalogs=names, keys=keys)


def _open(rows: Iterable[QuarantineRow]) -> tuple[QuarantineRow, ...]:
    return tuple(row for row in rows if not row.dismissed)


async def retry_models(context: CatalogContext, rows: Iterable[QuarantineRow]) -> tuple[str, ...]:
    """Ask again for these models; returns the keys that cannot be asked for alone.

    A record without a readable ``createdAt`` has no place in any order but the whole listing: the
    next complete walk finds it.

    Raises:
        SourceError, StoreError, LeaseLost: as the crawl.
    """
    unplaced: list[str] = []
    instants: set[Millis] = set()
    for row in rows:
        created_ms = decode_model(row.raw).created_ms
        if created_ms is None:
            unplaced.append(row.key)
        else:
            instants.add(created_ms)
    async with context.turn:
        for created_ms in sorted(instants):
            await _retry_instant(context, created_ms)
    return tuple(unplaced)


async def _retry_instant(context: CatalogContext, created_ms: Millis) -> None:
    walk = Walk(SortKey.CREATED, Millis(created_ms - 1), Millis(created_ms + 1))
    fetcher, tally = context.fetcher(CycleKind.DELTA), Tally()
    async for reached in read_span(fetcher, walk, stop=context.stop, name=_PARTITION):
        await commit_page(context, _PARTITION, reached.page, NoEffect(), tally)
