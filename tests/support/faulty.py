"""
A small mirror that something goes wrong with, and what may not be wrong with it even then.

Owns the scene of the fault suite: a listing of every shape in a dozen models, a clock on which an
hour of waiting passes in a moment, and the promises that no fault suspends.
Kind: edge (simulator, database).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from support.mirror import (
    START,
    Mirror,
    RightClock,
    SourceTime,
    add_models,
    mirroring,
    new_source,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE_SIZE = 3
LONG_AGO = START - timedelta(days=100)
DAY_MS = 86_400_000
HASTE = 1000
"""How many seconds pass on the clock in one: a retry deadline of 20 s is over in 20 ms."""

PATIENT = {"limits__retry_deadline_s": 3000, "limits__stall_after_s": 3100}
"""For what must be retried until it is over, however busy the machine."""

_KEYS: dict[str, Any] = {
    "source__page_size": PAGE_SIZE,
    "source__max_concurrency": 1,
    "limits__retry_deadline_s": 20,
    # The longest there is: a renewal each 20 minutes is still one a second.
    "lease__ttl_s": 3600,
}


class HastyClock(RightClock):
    """The source's wall clock; waiting takes a small part of the time that it is meant to."""

    def monotonic(self) -> float:
        return super().monotonic() * HASTE

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s / HASTE)


@asynccontextmanager
async def small_mirror(
    url: str, *, options: dict[str, Any] | None = None, **keys: object
) -> AsyncIterator[Mirror]:
    """Models day by day, and more of them on one instant than fit a page, amidst the others."""
    time = SourceTime()
    source = new_source(time, **(options or {}))
    for day, prefix in ((0, "a"), (20, "z")):
        days = spread(LONG_AGO + timedelta(days=day), step_ms=DAY_MS)
        add_models(source, 4, prefix, createdAt=days, updatedAt=days)
    tied = LONG_AGO + timedelta(days=10)
    add_models(source, PAGE_SIZE + 1, "t", createdAt=tied, updatedAt=tied)
    async with mirroring(url, source, time=time, **(_KEYS | keys)) as mirror:
        mirror.clock = HastyClock(time)
        yield mirror


def change_more_than_a_page(mirror: Mirror) -> None:
    """A backlog: models edited on one instant, and new ones after it."""
    source, now = mirror.source, mirror.time.advance(60)
    for model_id in [each for each in source.live_models() if each.startswith("t")]:
        source.update_model(model_id, name=f"as of {now:%H:%M:%S}", updatedAt=now)
    later = spread(now + timedelta(seconds=1), step_ms=1000)
    add_models(source, 4, f"n{now:%H%M%S}-", createdAt=later, updatedAt=later)
    mirror.time.advance(10)


async def broken_promises(mirror: Mirror) -> list[str]:
    """What not even a fault excuses: something invented, removed, or claimed and not stored."""
    watermark = await mirror.value("SELECT watermark FROM syncer.catalog")
    removed = await mirror.value(
        "SELECT count(*) FROM scenario.models WHERE removed_at IS NOT NULL"
    )
    broken = [f"{removed} removed"] if removed else []
    models = mirror.source.live_models()
    for difference in await mirror.differences():
        what, _, model_id = difference.partition(" ")
        if what == "extra" or _is_claimed(models[model_id], watermark):
            broken.append(difference)
    return broken


def _is_claimed(model: dict[str, Any], watermark: datetime | None) -> bool:
    return watermark is not None and datetime.fromisoformat(model["updatedAt"]) <= watermark
