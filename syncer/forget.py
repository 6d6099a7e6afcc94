"""
Forget a retired catalog: everything it left in the database, in pieces, under its lease.

Owns who may be forgotten, the order in which things go, and the size of a piece. Never asks the
source, never prints or asks a person.
Invariant: wherever it ends, the catalog is retired until its row is gone, and running it again goes
on; nothing of another catalog is touched.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncer.config import Settings
from syncer.crawl import StopSignal
from syncer.domain import Clock
from syncer.errors import ConfigError, StoreUnavailable, SyncerError
from syncer.reading import open_existing
from syncer.runtime import Runtime
from syncer.store.forget import (
    CatalogCount,
    ForgetStore,
    Key,
    KnownCatalog,
    count_catalog,
    list_catalogs,
)
from syncer.store.queries import load_queries
from syncer.telemetry import Event, logger

BATCH_SIZE: Final = 5000
"""Rows in one transaction: well below a second, where statements may take 0.6 x lease.ttl_s."""

_SMALLER: Final = 4
"""A batch that takes too long is tried again as this part of itself."""

_QUERY_CANCELED: Final = "57014"
"""What PostgreSQL answers when statement_timeout is over."""


@dataclass(frozen=True, slots=True)
class RetiredCatalog:
    """A catalog that may be forgotten, as it was found."""

    name: str
    retired_at: datetime | None
    """None: gone from the configuration, but no process has worked without it yet."""
    last_complete_at: datetime | None
    count: CatalogCount


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed by this run; an interrupted one before it may have removed more."""

    models: int
    changes: int
    quarantined_models: int
    cycles: int


async def find_retired(settings: Settings, name: str, clock: Clock) -> RetiredCatalog:
    """Look a catalog up that is to be forgotten; writes nothing.

    Raises:
        ConfigError: it is configured, or the database does not know it.
        StoreError: the database cannot be read.
    """
    configured = {catalog.name for catalog in settings.catalogs}
    if name in configured:
        raise ConfigError(
            f"catalog '{name}' is configured, and only a retired catalog can be forgotten",
            hint="Take it out of the configuration first, also out of that of a running daemon "
            "(SIGHUP). To fill it anew instead: 'syncer backfill --restart'.",
        )
    async with open_existing(settings, clock) as connection:
        if connection is None:
            raise _unknown(name, ())
        queries = load_queries()
        known = await list_catalogs(connection, queries)
        retired = {each.catalog: each for each in known if each.catalog not in configured}
        found = retired.get(name)
        if found is None:
            raise _unknown(name, retired.values())
        count = await count_catalog(connection, queries, name)
    return RetiredCatalog(name, found.retired_at, found.last_complete_at, count)


def _unknown(name: str, retired: Iterable[KnownCatalog]) -> ConfigError:
    names = ", ".join(each.catalog for each in retired)
    return ConfigError(
        f"there is no catalog '{name}' in the database",
        hint=f"Retired catalogs: {names or 'none'}.",
    )


async def forget_catalog(
    runtime: Runtime, catalog: RetiredCatalog, *, batch_size: int = BATCH_SIZE
) -> Forgotten:
    """Remove everything that the database holds of a retired catalog.

    Raises:
        LeaseHeld, LeaseLost: another process works on it.
        ConfigError: it was configured again, or forgotten by somebody else, since it was found.
        Stopped: asked to; what was removed stays removed.
        StoreError: as the database does; running it again goes on.
    Cancel-safe: yes; between any two transactions the catalog is retired and void.
    """
    # The runtime knows the configured catalogs only; ours may be lost as well.
    stop = runtime.lost[catalog.name] = runtime.stop.child()
    lease = await runtime.keeper.acquire(catalog.name)
    store = ForgetStore(runtime.pool, runtime.queries, lease)
    async with runtime.renewing():
        return await _remove(runtime, store, catalog, _Pieces(catalog.name, stop, batch_size))


async def _remove(
    runtime: Runtime, store: ForgetStore, catalog: RetiredCatalog, pieces: _Pieces
) -> Forgotten:
    if not await store.void(unretired=catalog.retired_at is None):
        raise ConfigError(
            f"catalog '{catalog.name}' is no longer what it was: another process has forgotten it "
            "or configured it again; nothing was removed",
            hint="'syncer status' shows which.",
        )
    progress = runtime.progress
    progress.cycle_started(
        catalog=catalog.name,
        kind="forget",
        reason="",
        estimated_models=catalog.count.live_models + catalog.count.removed_models,
        estimated_requests=None,
    )

    def models_removed(count: int) -> None:
        progress.page_committed(
            catalog=catalog.name,
            partition="",
            models=count,
            inserted=0,
            updated=0,
            unchanged=0,
            quarantined=0,
            bytes=0,
        )

    # Models first: they are what there is much of, and what the rest describes.
    models = await pieces.remove_all(store.delete_models, "", models_removed)
    # Nothing is told of a model that is not there: their history follows them.
    changes = await pieces.remove_all(store.delete_changes, "")
    await pieces.remove_all(store.delete_details, "")
    quarantined = await pieces.remove_all(store.delete_quarantine, "")
    cycles = await pieces.remove_all(store.delete_cycles, 0)
    await store.delete_catalog()
    forgotten = Forgotten(models, changes, quarantined, cycles)
    progress.cycle_finished(catalog=catalog.name, kind="forget", outcome="complete")
    logger(catalog=catalog.name).info(
        Event.CATALOG_FORGOTTEN,
        models=models,
        changes=changes,
        quarantined_models=quarantined,
        cycles=cycles,
    )
    return forgotten


@dataclass(slots=True)
class _Pieces:
    """Removes rows batch by batch; the size shrinks where the database is too slow for it."""

    catalog: str
    stop: StopSignal
    size: int

    async def remove_all(
        self,
        delete: Callable[[Key, int], Awaitable[tuple[int, Key]]],
        after: Key,
        on_removed: Callable[[int], None] = lambda _count: None,
    ) -> int:
        """Until nothing is left; returns how many rows went."""
        removed = 0
        while True:
            self.stop.check()
            try:
                count, after = await delete(after, self.size)
            except StoreUnavailable as error:
                if error.context.get("sqlstate") != _QUERY_CANCELED or self.size == 1:
                    raise
                self._shrink(error)
                continue
            if not count:
                return removed
            removed += count
            on_removed(count)

    def _shrink(self, error: SyncerError) -> None:
        """Running into the same limit for ever would help nobody."""
        self.size = max(1, self.size // _SMALLER)
        logger(catalog=self.catalog, batch_size=self.size).warning(
            Event.BATCH_REDUCED, exc_info=error
        )
