"""
Processes that are stopped in their tracks, and what the tables must not show when they go on.

Owns SIGSTOP and SIGCONT, and the whole of what a writer could have touched.
Kind: edge (processes, database).
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import psutil
from support.stored import fetch

if TYPE_CHECKING:
    from support.command import Running

EPOCH_BITS = 40
"""Of ``sent_order``, below the epoch."""

WRITTEN = """
    SELECT 'model' AS what, id AS key, xmin::text AS version FROM scenario.models
    UNION ALL SELECT 'quarantine', key, xmin::text FROM syncer.quarantine
    UNION ALL SELECT 'catalog', catalog, xmin::text FROM syncer.catalog
    UNION ALL SELECT 'cycle', cycle_id::text, xmin::text FROM syncer.cycle
    UNION ALL SELECT 'checkpoint', cycle_id || partition, xmin::text FROM syncer.checkpoint
    ORDER BY 1, 2
"""
"""Every row that a page can write, with the transaction that wrote it last."""


async def freeze(running: Running) -> None:
    """Stop a process, and return when it stands still."""
    running.send(signal.SIGSTOP)
    await until_frozen(running)


async def until_frozen(running: Running) -> None:
    """Wait for a stop that somebody else asked for."""
    process = psutil.Process(running.process.pid)
    await running.until(lambda: process.status() == psutil.STATUS_STOPPED, "a frozen process")


def thaw(running: Running) -> None:
    """Let a process go on."""
    running.send(signal.SIGCONT)


async def written(url: str) -> list[dict[str, Any]]:
    """All that was written, in versions: two equal answers prove that nobody wrote meanwhile."""
    return await fetch(url, WRITTEN)


async def models_by_epoch(url: str) -> dict[int, int]:
    """How many models the holder of each epoch has written."""
    rows = await fetch(
        url,
        f"SELECT sent_order >> {EPOCH_BITS} AS epoch, count(*) AS models"  # noqa: S608 - a number
        " FROM scenario.models GROUP BY 1 ORDER BY 1",
    )
    return {row["epoch"]: row["models"] for row in rows}
