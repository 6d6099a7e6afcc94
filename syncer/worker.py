"""
Work on one catalog as long as its lease is held: polls, sweeps beside them, and orders.

Owns when each is due. Never takes a lease, never decides what a cycle does.
Invariant: one poll, one order and one sweep at a time; a sweep never holds up a poll, but for the
moment in which removals are confirmed.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from syncer.config import CatalogSettings
from syncer.crawl import StopSignal
from syncer.details import Details
from syncer.domain import Clock, CycleKind
from syncer.engine import BEYOND_FEED, Engine
from syncer.errors import (
    ConfigError,
    Postponed,
    SchemaMismatch,
    StoreError,
    SyncerError,
)
from syncer.jobs import CatalogResult, carry_out, job_of
from syncer.retry_models import retry_keys
from syncer.runtime import Runtime, origin_of
from syncer.store.catalogs import CatalogState
from syncer.store.lease import Lease
from syncer.store.orders import Order, OrderKind, OrderStore, Outcome
from syncer.telemetry import Event, logger

ORDER_LOOK_S = 3.0
"""Between two looks for orders: a command that waits gives up after 30 s."""

POLLS_UNTIL_RETRY = 10
"""After a sweep that did not come to its end, so many polls go by before it is tried again."""


@dataclass(slots=True)
class CatalogWorker:
    """One catalog, under one lease."""

    runtime: Runtime
    catalog: CatalogSettings
    lease: Lease
    _engine: Engine = field(init=False)
    _store: OrderStore = field(init=False)
    _orders: deque[Order] = field(default_factory=deque)
    _ordered: asyncio.Event = field(default_factory=asyncio.Event)
    _polled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each poll that came to its end: the details of what it brought are open."""
    _sweeping: asyncio.Task[None] | None = None
    _sweep_stop: StopSignal = field(default_factory=StopSignal)
    _next_sweep_s: float = float("-inf")

    def __post_init__(self) -> None:
        self._engine = Engine(self.runtime.renewed_context(self.catalog, self.lease))
        self._store = OrderStore(self.runtime.pool, self.runtime.queries)

    async def run(self) -> None:
        """Until the lease is lost or somebody says stop.

        Raises:
            ConfigError, SchemaMismatch: what only an operator can mend.
        """
        async with asyncio.TaskGroup() as group:
            companions = [group.create_task(self._take_orders(), name="take orders")]
            if self.catalog.details:
                fetching = self._fetch_details()
                companions.append(group.create_task(fetching, name=f"details {self.catalog.name}"))
            while self._is_ours:
                began_s = self.runtime.clock.monotonic()
                while self._orders:
                    await self._carry_out(self._orders.popleft())
                await self._guarded_cycle(group)
                spent_s = self.runtime.clock.monotonic() - began_s
                await self._wait(max(0.0, self.catalog.poll_interval_s - spent_s))
            for companion in companions:
                companion.cancel()

    @property
    def _stop(self) -> StopSignal:
        return self._engine.context.stop

    @property
    def _is_ours(self) -> bool:
        held = self.runtime.keeper.held.get(self.catalog.name)
        return not self._stop.is_set and held == self.lease

    @property
    def _is_sweeping(self) -> bool:
        return self._sweeping is not None and not self._sweeping.done()

    async def _guarded_cycle(self, group: asyncio.TaskGroup) -> None:
        try:
            await self._cycle(group)
        except (ConfigError, SchemaMismatch):
            raise
        except SyncerError as error:
            # Whatever it is, the next poll finds out whether it is over; status shows it.
            logger(catalog=self.catalog.name).warning(Event.CYCLE_FAILED, exc_info=error)

    async def _cycle(self, group: asyncio.TaskGroup) -> None:
        engine = self._engine
        state = await engine.prepare()
        if state.backfilled_at is None:
            if not (await engine.backfill(state)).complete:
                return
            state = await engine.prepare()
        if engine.is_beyond_feed(state) and not self._is_sweeping:
            await engine.sweep(state, reason=BEYOND_FEED)
            state = await engine.prepare()
        polled = await engine.follow(state, is_sweeping=self._is_sweeping)
        if polled.complete:
            self._polled.set()
        if polled.kind is CycleKind.DELTA:
            await self._begin_sweep(group)

    async def _begin_sweep(self, group: asyncio.TaskGroup) -> None:
        """Sweep beside the polls, if that is due."""
        if self._is_sweeping or self.runtime.clock.monotonic() < self._next_sweep_s:
            return
        state = await self._engine.prepare()
        reason = await self._engine.why_sweep(state)
        if reason is None:
            return
        self._sweep_stop = self._stop.child()
        engine = Engine(replace(self._engine.context, stop=self._sweep_stop))
        name = f"sweep {self.catalog.name}"
        self._sweeping = group.create_task(self._sweep(engine, state, reason), name=name)

    async def _sweep(self, engine: Engine, state: CatalogState, reason: str) -> None:
        outcome = await engine.sweep(state, reason=reason)
        self._engine.feed.ask_again()
        if not outcome.complete:
            pause_s = POLLS_UNTIL_RETRY * self.catalog.poll_interval_s
            pause_s = min(pause_s, self.catalog.sweep_interval_s)
            self._next_sweep_s = self.runtime.clock.monotonic() + pause_s

    async def _fetch_details(self) -> None:
        """Beside the polls, for as long as it takes; they and the sweeps go first."""
        details = Details(self._engine.context)
        while True:
            await self._polled.wait()
            self._polled.clear()
            await details.catch_up()

    async def _take_orders(self) -> None:
        """Say early that an order is ours, however long it takes until its turn."""
        while True:
            try:
                for order in await self._store.take(self.lease):
                    log = logger(catalog=self.catalog.name, kind=order.kind)
                    log.info(Event.ORDER_TAKEN, order=order.order_id)
                    self._orders.append(order)
                    self._ordered.set()
            except SyncerError:
                # The cycles say what is wrong with the database or the lease.
                pass
            await self.runtime.clock.sleep(ORDER_LOOK_S)

    async def _carry_out(self, order: Order) -> None:
        if self._is_sweeping and self._sweeping is not None:
            self._sweep_stop.set(Postponed("an order goes before the sweep under way"))
            await self._sweeping
        outcome = await self._outcome_of(order)
        if self._stop.is_set:
            # Left open: the next holder begins it again.
            return
        logger(catalog=self.catalog.name, kind=order.kind).info(
            Event.ORDER_FINISHED, order=order.order_id, exit_code=outcome["exit_code"]
        )
        try:
            await self._store.finish(self.lease, order, outcome)
        except StoreError as error:
            logger(catalog=self.catalog.name).warning(Event.DATABASE_UNAVAILABLE, exc_info=error)
            self._orders.append(order)

    async def _outcome_of(self, order: Order) -> Outcome:
        result = CatalogResult(self.catalog.name)
        unplaced: tuple[str, ...] = ()
        try:
            self._require_same_origin(order)
            if order.kind is OrderKind.RETRY:
                keys = list(order.arguments["keys"])
                unplaced = await retry_keys(self.runtime, self._engine.context, keys)
            else:
                async for outcome in carry_out(self._engine, job_of(order)):
                    result.cycles.append(outcome)
        except SyncerError as error:
            result.error = error
        return result.outcome | {"unplaced": list(unplaced)}

    def _require_same_origin(self, order: Order) -> None:
        ours = origin_of(self.runtime.settings, self.catalog)
        if any(order.arguments.get(name) != value for name, value in ours.items()):
            raise ConfigError(
                f"the process that holds the lease of catalog {self.catalog.name} is configured "
                "for another source or other filters",
                hint="Give both the same configuration (SIGHUP makes 'syncer run' read it again), "
                "or stop that process.",
            )

    async def _wait(self, delay_s: float) -> None:
        """Until the next poll is due, an order has come, or somebody says stop."""
        if self._orders:
            return
        self._ordered.clear()
        await wait_for_any(self.runtime.clock, delay_s, self._stop.wait(), self._ordered.wait())


async def wait_for_any(clock: Clock, delay_s: float, *events: Coroutine[Any, Any, object]) -> None:
    """Wait, but not past the first of these."""
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[object]] = [
            group.create_task(each, name="awaited") for each in (clock.sleep(delay_s), *events)
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
