"""
Get work done on a catalog: by this process if the lease is free, else by the one that holds it.

Owns the waiting for a holder. Never carries an order out itself.
Invariant: an order that nobody took within the limit is taken back; one whose holder is gone is
done by whoever gets the lease first, which may be us.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncer.config import CatalogSettings
from syncer.errors import LeaseHeld, StoreConflict
from syncer.runtime import Runtime, holder_name, origin_of
from syncer.store.lease import Lease
from syncer.store.orders import OrderKind, OrderStore, Outcome
from syncer.telemetry import Event, logger

TAKE_LIMIT_S = 30.0
"""A holder that has not taken an order by then is busy with something else (DESIGN §2)."""

LOOK_S = 0.5
WITHDRAWN: Outcome = {"exit_code": 0, "withdrawn": True}


async def acquire_or_order(
    runtime: Runtime, catalog: CatalogSettings, kind: OrderKind, arguments: Mapping[str, Any]
) -> Lease | Outcome:
    """The lease, or what its holder made of the order.

    Raises:
        LeaseHeld: the holder did not take the order within ``TAKE_LIMIT_S``.
        Stopped, DeadlineReached: an order that was taken is carried out all the same.
        StoreUnavailable: nothing is known of the order.
    Cancel-safe: an order that was placed may be carried out.
    """
    try:
        return await runtime.keeper.acquire(catalog.name)
    except LeaseHeld as held:
        logger(catalog=catalog.name).info(Event.ORDER_PLACED, kind=kind, reason=held.message)
    store = OrderStore(runtime.pool, runtime.queries)
    said = {**origin_of(runtime.settings, catalog), **arguments}
    number = await store.place(catalog.name, kind, said, placed_by=holder_name())
    try:
        return await _follow(runtime, store, catalog.name, number)
    except BaseException:
        if not runtime.stop.is_set:
            raise
        await store.withdraw(number, WITHDRAWN, even_if_taken=False)
        raise


async def _follow(
    runtime: Runtime, store: OrderStore, catalog: str, number: int
) -> Lease | Outcome:
    clock = runtime.clock
    deadline_s = clock.monotonic() + TAKE_LIMIT_S
    while True:
        runtime.stop.check()
        state = await store.read(number)
        if state is None:
            raise StoreConflict(f"the order for catalog {catalog} was removed by another process")
        if state.outcome is not None:
            return state.outcome
        try:
            lease = await runtime.keeper.acquire(catalog)
        except LeaseHeld as held:
            late = not state.is_taken and clock.monotonic() > deadline_s
            if late and await store.withdraw(number, WITHDRAWN, even_if_taken=False):
                raise LeaseHeld(
                    f"{held.message}, and it did not take the order within {TAKE_LIMIT_S:g} s"
                ) from None
        else:
            if await store.withdraw(number, WITHDRAWN, even_if_taken=True):
                return lease
            await runtime.keeper.release(catalog)
        await clock.sleep(LOOK_S)
