"""
Keep the history as long as it is asked for, and no longer.

Owns when old changes go, and in which pieces. Never touches a model, never waits for a lease.
Invariant: without ``history.keep_days`` nothing is removed or even asked; a database that is away
costs a word, not the work beside it.
Kind: conductor.
"""

from __future__ import annotations

from typing import Final

from syncer.crawl import StopSignal
from syncer.errors import StoreError
from syncer.runtime import Runtime
from syncer.store.history import HistoryStore
from syncer.telemetry import Event, logger

INTERVAL_S: Final = 3600.0
"""Between two looks of the daemon; days are kept, so an hour is no matter."""

BATCH_SIZE: Final = 5000
"""Changes in one transaction: some milliseconds."""


async def drop_old_changes(
    runtime: Runtime, stop: StopSignal, *, batch_size: int = BATCH_SIZE
) -> int:
    """Remove the changes that are older than configured; returns how many.

    Ends early when asked to stop: the next call goes on.

    Raises:
        StoreError: as the database does; likewise.
    Cancel-safe: yes; each batch is a transaction of its own.
    """
    keep_days = runtime.settings.history.keep_days
    if not keep_days:
        return 0
    store = HistoryStore(runtime.pool, runtime.queries)
    upto = await store.raise_kept_since(keep_days)
    dropped = after = 0
    while upto is not None and not stop.is_set:
        removed, after = await store.drop(after, upto, batch_size)
        if not removed:
            break
        dropped += removed
    if dropped:
        logger().info(Event.HISTORY_DROPPED, changes=dropped, keep_days=keep_days)
    return dropped


async def try_to_drop(runtime: Runtime, stop: StopSignal) -> None:
    """``drop_old_changes``, where the rest is what matters: trouble is logged, and waits."""
    try:
        await drop_old_changes(runtime, stop)
    except StoreError as error:
        logger().warning(Event.DATABASE_UNAVAILABLE, exc_info=error)


async def drop_for_ever(runtime: Runtime) -> None:
    """Now and then, for as long as the daemon runs."""
    while True:
        await try_to_drop(runtime, runtime.stop)
        await runtime.clock.sleep(INTERVAL_S)
