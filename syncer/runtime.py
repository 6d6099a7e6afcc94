"""
Put the parts together: database, store, lease keeper, source.

Owns the order in which things are opened and closed, and signals. Never crawls.
Invariant: everything that was opened is closed in reverse order, whatever happens; leases are
released before the connections close.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from syncer import __version__
from syncer.api.client import SourceClient
from syncer.api.difference import differing_fields
from syncer.api.limits import Limiter
from syncer.api.room import PAGE_GOAL_BYTES
from syncer.clock import SystemClock
from syncer.config import CatalogSettings, Credentials, Settings
from syncer.context import CatalogContext, CycleObserver, NoObserver
from syncer.crawl import StopSignal
from syncer.database import (
    STATEMENT_SHARE,
    Database,
    bring_up_to_date,
    open_database,
    open_reader,
)
from syncer.domain import Clock, Privacy
from syncer.errors import (
    LeaseLost,
    SourceThrottled,
    StoreUnavailable,
    SyncerError,
)
from syncer.lag import LoopLag
from syncer.outage import Outage
from syncer.planner.identity import OwnerCheck
from syncer.progress import Progress
from syncer.sharing import RELEASE_LIMIT_S, shared_limiter
from syncer.store.catalogs import CatalogStore, scope_json
from syncer.store.comparing import ComparingStore
from syncer.store.lease import Lease, LeaseKeeper
from syncer.store.pages import PageStore
from syncer.store.pool import Pool, open_pool
from syncer.store.queries import Queries, load_queries
from syncer.store.sweeps import SweepStore
from syncer.telemetry import Event, logger
from syncer.voice import is_news

NO_EPOCH = 0
"""Of no lease: epochs start at 1."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that is open while catalogs are worked on."""

    settings: Settings
    database: Database
    clock: Clock
    rng: random.Random
    queries: Queries
    pool: Pool
    keeper: LeaseKeeper
    limiter: Limiter
    source: SourceClient
    progress: Progress
    stop: StopSignal
    lost: dict[str, StopSignal]
    """Set, per catalog, when its lease turns out to be somebody else's."""
    observer: CycleObserver
    lag: LoopLag
    outage: Outage

    @contextlib.asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Keep the leases that are acquired inside the block, however long it takes.

        And let other processes have what is not needed of the request budget meanwhile.
        """
        error: SyncerError | None = None
        async with asyncio.TaskGroup() as group:
            companions = [
                group.create_task(self.keeper.renew_forever(), name="renew leases"),
                group.create_task(self.limiter.keep_forever(), name="share the budget"),
                group.create_task(self.lag.watch(), name="loop lag"),
            ]
            try:
                yield
            except SyncerError as caught:
                # Raised here, it would come out wrapped in a group.
                error = caught
            for companion in companions:
                companion.cancel()
        if error is not None:
            raise error

    def reading_context(self, catalog: CatalogSettings) -> CatalogContext:
        """As ``context``, without a lease: whatever tries to write with it is fenced out."""
        return self.context(catalog, Lease(catalog.name, holder_name(), NO_EPOCH))

    def renewed_context(self, catalog: CatalogSettings, lease: Lease) -> CatalogContext:
        """As ``context``, for a lease that was acquired anew: an earlier loss is over."""
        self.lost[catalog.name] = self.stop.child()
        return self.context(catalog, lease)

    def context(self, catalog: CatalogSettings, lease: Lease) -> CatalogContext:
        """What the work on one catalog needs, for as long as the lease is held."""
        return CatalogContext(
            settings=catalog,
            source=self.source.observed_by(_Requests(self.progress, self.observer, catalog.name)),
            pin=pin_of(self.settings, catalog),
            pages=PageStore(
                self.pool,
                self.queries,
                lease,
                statement_limit_s=self.settings.lease.ttl_s * STATEMENT_SHARE,
                compare=differing_fields,
            ),
            catalogs=CatalogStore(self.pool, self.queries),
            sweeps=SweepStore(self.pool, self.queries, lease),
            comparing=ComparingStore(self.pool, self.queries, catalog.name),
            lease=lease,
            clock=self.clock,
            rng=self.rng,
            progress=self.progress,
            stop=self.lost[catalog.name],
            page_size=self.settings.source.page_size,
            max_concurrency=self.settings.source.max_concurrency,
            retry_deadline_s=self.settings.limits.retry_deadline_s,
            owner=OwnerCheck(catalog.name),
            observer=self.observer,
            queue_s=self.source.queue_s,
            hand=self.source.hand,
            lag=self.lag,
            page_goal_bytes=min(PAGE_GOAL_BYTES, self.settings.limits.max_page_bytes),
        )


def pin_of(settings: Settings, catalog: CatalogSettings) -> str:
    """What a catalog is filled from, as remembered with its first page."""
    base_url = settings.source.base_url.rstrip("/")
    if catalog.privacy is Privacy.PRIVATE and catalog.project_id:
        return f"{base_url} project {catalog.project_id}"
    return base_url


def origin_of(settings: Settings, catalog: CatalogSettings) -> dict[str, Any]:
    """What a catalog is configured to mirror, so that an order is not carried out on another."""
    return {"pin": pin_of(settings, catalog), "scope": scope_json(catalog.scope).decode()}


def holder_name() -> str:
    """Names this process to people who wonder who holds a lease."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextlib.asynccontextmanager
async def open_runtime(  # noqa: PLR0913 - everything that varies is an argument, by keyword
    settings: Settings,
    credentials: Credentials,
    *,
    clock: Clock,
    rng: random.Random,
    progress: Progress,
    stop: StopSignal,
    observer: CycleObserver | None = None,
    keep_database: bool = False,
    reserve: int = 0,
    outage: Outage | None = None,
) -> AsyncIterator[Runtime]:
    """Open everything, migrate as configured, and close it in order at the end.

    ``reserve`` requests a minute are kept for this process while it is idle.
    """
    queries = load_queries()
    outage = outage or Outage(clock)
    lost = {catalog.name: stop.child() for catalog in settings.catalogs}
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings, clock=clock, keep=keep_database)
        )
        async with open_reader(settings, database.url) as connection:
            await bring_up_to_date(settings, connection)
        pool = await stack.enter_async_context(_pool(settings, database))
        keeper = await stack.enter_async_context(
            _keeper(settings, database, clock, queries, lost, outage)
        )
        # Told apart by a random number: process ids come back, those of containers at once.
        name = f"{holder_name()}:{rng.getrandbits(64):016x}"
        sharing = shared_limiter(
            settings, database.url, name, clock, queries, reserve=reserve, outage=outage
        )
        limiter = await stack.enter_async_context(sharing)
        source = await stack.enter_async_context(
            open_source(
                settings, credentials, clock=clock, rng=rng, progress=progress, limiter=limiter
            )
        )
        yield Runtime(
            settings=settings,
            database=database,
            clock=clock,
            rng=rng,
            queries=queries,
            pool=pool,
            keeper=keeper,
            limiter=limiter,
            source=source,
            progress=progress,
            stop=stop,
            lost=lost,
            observer=observer or NoObserver(),
            # Of this process's loop, whatever clock the work goes by.
            lag=LoopLag(SystemClock()),
            outage=outage,
        )


@contextlib.asynccontextmanager
async def _keeper(
    settings: Settings,
    database: Database,
    clock: Clock,
    queries: Queries,
    lost: Mapping[str, StopSignal],
    outage: Outage,
) -> AsyncIterator[LeaseKeeper]:
    def on_lost(catalog: str) -> None:
        logger(catalog=catalog).warning(Event.LEASE_LOST)
        lost[catalog].set(LeaseLost(f"another process took over catalog {catalog}"))

    keeper = LeaseKeeper(
        url=database.url,
        holder=holder_name(),
        ttl_s=settings.lease.ttl_s,
        clock=clock,
        queries=queries,
        on_lost=on_lost,
        on_trouble=outage.note,
        on_well=outage.end,
    )
    async with keeper:
        try:
            yield keeper
        finally:
            await _release(keeper)


async def _release(keeper: LeaseKeeper) -> None:
    """Give the leases back; when the database is away they run out by themselves."""
    for catalog in tuple(keeper.held):
        log = logger(catalog=catalog)
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await keeper.release(catalog)
        except StoreUnavailable as error:
            log.warning(Event.DATABASE_UNAVAILABLE, exc_info=error)
        except TimeoutError:
            log.warning(Event.DATABASE_UNAVAILABLE, hint="the lease runs out by itself")
        else:
            log.debug(Event.LEASE_RELEASED)


class _Requests:
    """Passes what the client says of its requests on to people and counters."""

    def __init__(
        self, progress: Progress, observer: CycleObserver | None = None, catalog: str = ""
    ) -> None:
        self._progress = progress
        self._observer = observer or NoObserver()
        self._catalog = catalog

    def request_started(self) -> None:
        self._observer.request_started(self._catalog)

    def request_finished(
        self, *, outcome: str, duration_s: float, params: Mapping[str, str]
    ) -> None:
        del params
        self._progress.request_finished(outcome=outcome, duration_s=duration_s)
        self._observer.request_finished(self._catalog, outcome=outcome, duration_s=duration_s)

    def retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        throttled = isinstance(error, SourceThrottled)
        say = logger().warning if is_news(attempt, delay_s) else logger().debug
        say(
            Event.SOURCE_THROTTLED if throttled else Event.RETRY_SCHEDULED,
            exc_info=error,
            delay_s=round(delay_s, 3),
            attempt=attempt,
        )
        self._progress.waiting(reason=error.message, delay_s=delay_s)


@contextlib.asynccontextmanager
async def open_source(
    settings: Settings,
    credentials: Credentials,
    *,
    clock: Clock,
    rng: random.Random,
    progress: Progress,
    limiter: Limiter | None = None,
) -> AsyncIterator[SourceClient]:
    """A client of the source under the configured budget and limits.

    Args:
        limiter: without one this process keeps to the budget for itself.
    """
    client = SourceClient(
        base_url=settings.source.base_url,
        credentials=credentials,
        limiter=limiter
        or Limiter(
            max_requests_per_minute=settings.source.max_requests_per_minute,
            max_concurrency=settings.source.max_concurrency,
            clock=clock,
        ),
        clock=clock,
        rng=rng,
        request_timeout_s=settings.source.request_timeout_s,
        retry_deadline_s=settings.limits.retry_deadline_s,
        max_page_bytes=settings.limits.max_page_bytes,
        observer=_Requests(progress),
        user_agent=f"syncer/{__version__}",
    )
    async with client:
        yield client


@contextlib.asynccontextmanager
async def _pool(settings: Settings, database: Database) -> AsyncIterator[Pool]:
    limit_s = settings.lease.ttl_s * STATEMENT_SHARE
    pool = await open_pool(
        database.url,
        size=settings.database.pool_size,
        statement_timeout_s=limit_s,
        idle_in_transaction_timeout_s=limit_s,
        application_name="syncer",
    )
    try:
        yield pool
    finally:
        await _close_pool(pool)


async def _close_pool(pool: Pool) -> None:
    """Close politely, then not: a database that is gone must not hold the exit up."""
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except (TimeoutError, OSError):
        pool.terminate()
