"""
The catalogue of what the program says.

Owns the names of events. Never says anything itself.
Kind: pure.
"""

from __future__ import annotations

import enum
from typing import Final

LIBRARY_REPORTED: Final = "library_reported"
"""The event of a line that aiohttp, asyncpg or asyncio wrote through the standard library."""


class Event(enum.StrEnum):
    """Everything a log line can be about: past tense, ``noun_verb``; facts are keys with units."""

    BATCH_REDUCED = "batch_reduced"
    BUDGET_AWAITED = "budget_awaited"
    CATALOG_FORGOTTEN = "catalog_forgotten"
    CATALOG_RETIRED = "catalog_retired"
    CHANGES_EXPIRED = "changes_expired"
    CHANGES_RESUMED = "changes_resumed"
    CONFIG_NOTICED = "config_noticed"
    CONFIG_REJECTED = "config_rejected"
    CONFIG_RELOADED = "config_reloaded"
    CRAWL_RESUMED = "crawl_resumed"
    CRAWL_STALLED = "crawl_stalled"
    CYCLE_FAILED = "cycle_failed"
    CYCLE_FINISHED = "cycle_finished"
    DATABASE_RECOVERED = "database_recovered"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATE_DOUBTED = "date_doubted"
    DETAILS_FETCHED = "details_fetched"
    DETAIL_FAILED = "detail_failed"
    DIFFERENCES_SUSPECTED = "differences_suspected"
    DRIFT_NOTICED = "drift_noticed"
    EMBEDDED_AWAITED = "embedded_awaited"
    EMBEDDED_STARTED = "embedded_started"
    FEED_REFUSED = "feed_refused"
    HISTORY_DROPPED = "history_dropped"
    LEASE_ACQUIRED = "lease_acquired"
    LEASE_LOST = "lease_lost"
    LEASE_RELEASED = "lease_released"
    LISTENER_CLOSED = "listener_closed"
    LISTENER_OPENED = "listener_opened"
    MIGRATION_APPLIED = "migration_applied"
    MODELS_MISSED = "models_missed"
    MODELS_REWOUND = "models_rewound"
    MODEL_QUARANTINED = "model_quarantined"
    ORDER_FINISHED = "order_finished"
    ORDER_PLACED = "order_placed"
    ORDER_TAKEN = "order_taken"
    PAGE_COMMITTED = "page_committed"
    PAGE_SIZE_HALVED = "page_size_halved"
    PARTITION_DROPPED = "partition_dropped"
    PARTITION_FAILED = "partition_failed"
    PARTITION_FINISHED = "partition_finished"
    PARTITION_STARTED = "partition_started"
    PROGRESS_REPORTED = "progress_reported"
    RETRY_SCHEDULED = "retry_scheduled"
    SCOPE_CHANGED = "scope_changed"
    SHUTDOWN_FINISHED = "shutdown_finished"
    SHUTDOWN_REQUESTED = "shutdown_requested"
    SOURCE_THROTTLED = "source_throttled"
    STANDBY_STARTED = "standby_started"
    SWEEP_REFUSED = "sweep_refused"
    WALK_CHOSEN = "walk_chosen"
    WATCHDOG_STARVED = "watchdog_starved"
