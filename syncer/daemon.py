"""
The daemon: follow every catalog until a signal says stop.

Owns the loop of each catalog (lease, backfill, polls) and what is waited out. Never crawls by
itself, never exits for something that time can mend.
Invariant: a catalog is worked on only under its lease; without it this process stands by.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from syncer.config import CatalogSettings, Credentials, Settings
from syncer.crawl import StopSignal
from syncer.database import open_reader
from syncer.domain import Clock
from syncer.errors import (
    ConfigError,
    LeaseHeld,
    SchemaMismatch,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    SyncerError,
    Verdict,
)
from syncer.outage import Outage
from syncer.progress import Progress
from syncer.retention import drop_for_ever
from syncer.runtime import Runtime, holder_name, open_runtime
from syncer.service import Supervision
from syncer.sharing import poll_reserve
from syncer.store.catalogs import CatalogStore
from syncer.telemetry import Event, logger
from syncer.web.health import Duty
from syncer.web.listener import Listener
from syncer.web.lookout import Lookout
from syncer.worker import CatalogWorker, wait_for_any

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
WATCH_INTERVAL_S = 5.0
"""Between two looks whether the embedded server still accepts connections."""

Configuration = tuple[Settings, Credentials]


class Reloaded(SyncerError):
    """the configuration was read again"""

    verdict = Verdict.STOP


class ServerGone(SyncerError):
    """the embedded PostgreSQL has ended; it is started again"""

    verdict = Verdict.STOP


@dataclass(slots=True)
class Daemon:
    """Runs catalogs for ever; ``reload`` changes what it runs."""

    configuration: Configuration
    load: Callable[[], Configuration]
    clock: Clock
    rng: random.Random
    progress: Progress
    stop: StopSignal
    service: Supervision
    lookout: Lookout
    listener: Listener
    outage: Outage = field(init=False)
    _round: StopSignal = field(default_factory=StopSignal)

    def __post_init__(self) -> None:
        self.outage = Outage(self.clock)

    def reload(self) -> None:
        """Read configuration and credentials again; what is invalid leaves the old ones."""
        self.service.reloading()
        try:
            configuration = self.load()
            self.listener.require_free(configuration[0].http.address)
        except ConfigError as error:
            logger().error(Event.CONFIG_REJECTED, exc_info=error)
            self.service.rejected(error)
            return
        self.configuration = configuration
        logger().info(Event.CONFIG_RELOADED)
        self._round.set(Reloaded())

    async def run(self) -> None:
        """Until the stop signal; database and source may come and go.

        Raises:
            ConfigError, SchemaMismatch: what only an operator can mend.
        """
        async with self.listener, self.lookout.watching():
            await self._listen()
            async with self.service.kept(self.stop):
                while not self.stop.is_set:
                    self._round = self.stop.child()
                    self.lookout.configure(*self.configuration)
                    await self._run_round(self._round)
                    await self._listen_elsewhere()

    async def _listen(self) -> None:
        settings, _ = self.configuration
        await self.listener.listen_on(settings.http.address)
        self.lookout.is_asked = settings.http.address is not None or self.service.is_heard

    async def _listen_elsewhere(self) -> None:
        """As configured by now; where that is not possible after all, as before."""
        try:
            await self._listen()
        except ConfigError as error:
            logger().error(Event.CONFIG_REJECTED, exc_info=error)

    async def _run_round(self, stop: StopSignal) -> None:
        """One configuration, until it is replaced or the daemon stops."""
        settings, credentials = self.configuration
        wait_s = FIRST_WAIT_S
        while not stop.is_set:
            try:
                async with open_runtime(
                    settings,
                    credentials,
                    clock=self.clock,
                    rng=self.rng,
                    progress=self.progress,
                    stop=stop,
                    reserve=poll_reserve(settings),
                    observer=self.lookout.observer,
                    outage=self.outage,
                ) as runtime:
                    self.service.up()
                    with self.lookout.attached(runtime):
                        await _follow_all(runtime, self.service, self.lookout)
            except (ConfigError, SchemaMismatch):
                raise
            except StoreError as error:
                self.outage.note(error, wait_s=wait_s)
                self.service.waiting(error)
                await sleep_or_stop(self.clock, stop, wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


async def _follow_all(runtime: Runtime, service: Supervision, lookout: Lookout) -> None:
    store = CatalogStore(runtime.pool, runtime.queries)
    catalogs = runtime.settings.catalogs
    for name in await store.retire_others([each.name for each in catalogs]):
        logger(catalog=name).warning(
            Event.CATALOG_RETIRED, hint="it is gone from the configuration; its rows stay"
        )
    async with asyncio.TaskGroup() as group:
        companions = [
            group.create_task(runtime.keeper.renew_forever(), name="renew leases"),
            group.create_task(runtime.lag.watch(), name="loop lag"),
            group.create_task(runtime.limiter.keep_forever(), name="share the budget"),
            group.create_task(drop_for_ever(runtime), name="drop old changes"),
            group.create_task(_watch_server(runtime), name="watch the embedded server"),
            group.create_task(
                service.report_forever(
                    lookout.status, holder=holder_name(), stalled=lambda: lookout.stalled_since
                ),
                name="status line",
            ),
        ]
        async with asyncio.TaskGroup() as work:
            for catalog in catalogs:
                name = f"catalog {catalog.name}"
                work.create_task(_follow(runtime, catalog, lookout), name=name)
        for companion in companions:
            companion.cancel()


async def _watch_server(runtime: Runtime) -> None:
    """An embedded server that died is ours to start again: end the round, the next one does it."""
    if runtime.database.embedded is None:
        return
    while True:
        await runtime.clock.sleep(WATCH_INTERVAL_S)
        try:
            async with open_reader(runtime.settings, runtime.database.url):
                pass
        except StoreUnavailable as error:
            runtime.outage.note(error)
            runtime.stop.set(ServerGone())
            return


async def _follow(runtime: Runtime, catalog: CatalogSettings, lookout: Lookout) -> None:
    """Hold the lease, or stand by for it, and work whenever it is held."""
    standing_by = False
    misses = 0
    while not runtime.stop.is_set:
        try:
            lease = await runtime.keeper.acquire(catalog.name)
        except LeaseHeld as error:
            runtime.outage.end()
            misses = 0
            if not standing_by:
                # To stand by is what it is there for: no error, and nothing to be done about it.
                logger(catalog=catalog.name).info(Event.STANDBY_STARTED, reason=error.message)
            standing_by = True
            lookout.take_duty(catalog.name, Duty.STANDBY)
        except (StoreUnavailable, StoreConflict) as error:
            misses += 1
            if _is_worth_a_line(misses):
                runtime.outage.note(error, catalog=catalog.name, attempt=misses)
            runtime.outage.begin()
            standing_by = False
            lookout.take_duty(catalog.name, Duty.NONE)
        else:
            standing_by = False
            misses = 0
            runtime.outage.end()
            facts = {} if lease.taken_from is None else {"taken_from": lease.taken_from}
            log = logger(catalog=catalog.name, epoch=lease.epoch)
            log.info(Event.LEASE_ACQUIRED, **facts)
            lookout.take_duty(catalog.name, Duty.HOLDER)
            await CatalogWorker(runtime, catalog, lease).run()
            lookout.take_duty(catalog.name, Duty.STANDBY)
        await sleep_or_stop(runtime.clock, runtime.stop, runtime.settings.lease.ttl_s / 3)


def _is_worth_a_line(misses: int) -> bool:
    """The first, and then ever fewer: a night without a database must not fill the log."""
    return misses.bit_count() == 1


async def sleep_or_stop(clock: Clock, stop: StopSignal, delay_s: float) -> None:
    """Wait, but not past the stop signal."""
    if not stop.is_set:
        await wait_for_any(clock, delay_s, stop.wait())
