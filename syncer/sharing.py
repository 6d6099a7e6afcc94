"""
One request budget for all processes of a database: the limiter that keeps to it.

Owns what the budget belongs to, how much of it an idle daemon keeps, and that all is given back at
the end. Never sends, never decides who gets what.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from syncer.api.limits import Limiter
from syncer.config import Settings
from syncer.domain import Clock, Privacy
from syncer.errors import StoreError
from syncer.outage import Outage
from syncer.store.budget import BudgetLedger
from syncer.store.queries import Queries
from syncer.telemetry import Event, logger
from syncer.tokens import LONGEST_LOOK_S, WINDOW_S

RELEASE_LIMIT_S = 1.5
"""For giving back at the end what others wait for; a database that is away must not hold the exit
up."""

REQUESTS_PER_POLL: Mapping[Privacy, int] = {Privacy.PUBLIC: 1, Privacy.PRIVATE: 2}
"""Of a catalog where nothing changes (DESIGN, P5)."""

SPARE_FROM = 50
"""Requests a minute from which one may lie idle while others work at 97 % of the budget."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def budget_of(base_url: str) -> str:
    """What a request budget belongs to: the source, however its address is spelt."""
    parts = urlsplit(base_url)
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


def poll_reserve(settings: Settings) -> int:
    """Requests a minute that the polls of idle catalogs need; never more than half the budget.

    One more where that is no more than 2 % of the budget: a token is ripe a minute after its
    answer, so that polls once a minute fall a little behind it each time, and would now and then
    have to ask for another, which writes.
    """
    limit = settings.source.max_requests_per_minute
    needed = sum(
        WINDOW_S / catalog.poll_interval_s * REQUESTS_PER_POLL[catalog.privacy]
        for catalog in settings.catalogs
    )
    spare = 1 if limit >= SPARE_FROM else 0
    return min(max(1, math.ceil(needed)) + spare, limit // 2)


def say_hunger() -> None:
    """Tell people why nothing is asked."""
    logger().warning(
        Event.BUDGET_AWAITED,
        hint="other processes hold the whole request budget; what one of them held that was "
        "killed comes free about a minute after its connection is gone",
    )


@contextlib.asynccontextmanager
async def shared_limiter(
    settings: Settings,
    database_url: str,
    name: str,
    clock: Clock,
    queries: Queries,
    *,
    reserve: int,
    outage: Outage,
) -> AsyncIterator[Limiter]:
    """The limiter of one process among those that share the database.

    Args:
        name: of this process; no other has or had it.
        reserve: requests a minute that stay here while nothing is asked.
    """
    ledger = BudgetLedger(
        url=database_url,
        source=budget_of(settings.source.base_url),
        holder=name,
        # Where the server says nothing, the client waits as long again.
        statement_timeout_s=LONGEST_LOOK_S / 2,
        queries=queries,
    )
    limiter = Limiter(
        max_requests_per_minute=settings.source.max_requests_per_minute,
        max_concurrency=settings.source.max_concurrency,
        clock=clock,
        ledger=ledger,
        name=name,
        reserve=reserve,
        patience_s=settings.limits.retry_deadline_s,
        on_trouble=outage.note,
        on_hunger=say_hunger,
    )
    try:
        yield limiter
    finally:
        await _leave(limiter, outage)
        await ledger.close()


async def _leave(limiter: Limiter, outage: Outage) -> None:
    """Give the tokens back; when the database is away they come free by themselves."""
    try:
        async with asyncio.timeout(RELEASE_LIMIT_S):
            await limiter.leave()
    except StoreError as error:
        outage.note(error)
    except TimeoutError:
        hint = "what this process held of the request budget comes free by itself"
        logger().warning(Event.DATABASE_UNAVAILABLE, hint=hint)
