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

from support.history import lies
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

HASTY_PAUSES = f"""
    CREATE FUNCTION syncer.hurry() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.paused_until IS DISTINCT FROM OLD.paused_until THEN
            NEW.paused_until = clock_timestamp() + (NEW.paused_until - clock_timestamp()) / {HASTE};
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER budget_hurry BEFORE INSERT OR UPDATE ON syncer.budget
    FOR EACH ROW EXECUTE FUNCTION syncer.hurry();
"""
"""A pause that processes share passes by the database's clock, which is then as fast as theirs."""

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
    url: str, *, options: dict[str, Any] | None = None, step_ms: int = 0, **keys: object
) -> AsyncIterator[Mirror]:
    """Models day by day; amidst them more than fit a page on one instant, or ``step_ms`` apart."""
    time = SourceTime()
    source = new_source(time, **(options or {}))
    for day, prefix in ((0, "a"), (20, "z")):
        days = spread(LONG_AGO + timedelta(days=day), step_ms=DAY_MS)
        add_models(source, 4, prefix, createdAt=days, updatedAt=days)
    tied = spread(LONG_AGO + timedelta(days=10), step_ms=step_ms)
    add_models(source, PAGE_SIZE + 1, "t", createdAt=tied, updatedAt=tied)
    async with mirroring(url, source, time=time, **(_KEYS | keys)) as mirror:
        mirror.clock = HastyClock(time)
        await mirror.observer.execute(HASTY_PAUSES)
        yield mirror


def change_more_than_a_page(mirror: Mirror, *, step_ms: int = 0) -> None:
    """A backlog: models edited on one instant, or ``step_ms`` apart, and new ones after them."""
    source, now = mirror.source, mirror.time.advance(60)
    at = spread(now, step_ms=step_ms)
    for number in range(PAGE_SIZE + 1):
        name = f"as of {now:%H:%M:%S}"
        source.update_model(f"t{number:05}", name=name, updatedAt=at(number))
    later = spread(now + timedelta(seconds=1), step_ms=1000)
    add_models(source, 4, f"n{now:%H%M%S}-", createdAt=later, updatedAt=later)
    mirror.time.advance(10)


async def broken_promises(mirror: Mirror) -> list[str]:
    """What not even a fault excuses: something invented, removed, or claimed and not stored."""
    watermark = await mirror.value("SELECT watermark FROM syncer.catalog")
    removed = await mirror.value(
        "SELECT count(*) FROM scenario.models WHERE removed_at IS NOT NULL"
    )
    broken = await lies(mirror.observer)
    broken += [f"{removed} removed"] if removed else []
    models = mirror.source.live_models()
    for difference in await mirror.differences():
        what, _, model_id = difference.partition(" ")
        if what == "extra" or _is_claimed(models[model_id], watermark):
            broken.append(difference)
    return broken


async def lacking(mirror: Mirror) -> set[str]:
    """The models whose newest version is not stored."""
    return {difference.split()[-1] for difference in await mirror.differences()}


async def torn(mirror: Mirror, lacked: set[str]) -> set[str]:
    """Models that rows and checkpoint disagree about; of what was lacking when the cycle began.

    For one walk whose rows all have times of their own: it has stored what lies up to its bound
    and on the millisecond after it, and nothing else.
    """
    walk = await mirror.observer.fetchrow(
        "SELECT sort_key, after_at FROM syncer.checkpoint JOIN syncer.cycle USING (cycle_id)"
        " WHERE finished_at IS NULL"
    )
    claimed = set()
    if walk is not None and walk["after_at"] is not None:
        upto = walk["after_at"] + timedelta(milliseconds=1)
        models = mirror.source.live_models()
        claimed = {
            each
            for each in lacked
            if datetime.fromisoformat(models[each][walk["sort_key"]]) <= upto
        }
    return (lacked - claimed) ^ await lacking(mirror)


def _is_claimed(model: dict[str, Any], watermark: datetime | None) -> bool:
    return watermark is not None and datetime.fromisoformat(model["updatedAt"]) <= watermark
