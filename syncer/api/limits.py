"""
When a request may be sent: one budget, one concurrency cap and one pause for everybody.

Owns the order in which waiting requests go, and the request budget. Never sends, never retries.
Invariant: no more than ``max_requests_per_minute`` requests are sent in any 60 s.
Kind: edge (waits on the clock); ``Budget`` alone is pure arithmetic.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from syncer.domain import Clock, Lane

RATE_WINDOW_S = 60.0
"""The source counts requests per minute (UPSTREAM §6.1)."""

JITTER_MARGIN_S = 1.0
"""The source counts arrivals, we count sends: a slow send followed by a quick one arrives
closer together than it was sent. Costs 1.6 % of the budget."""

TICK_S = 0.001
"""Less than this is no wait. Keeps rounding from turning a wait into a spin; 1000 times
smaller than the margin that makes it harmless."""

MIN_PAUSE_S = 1.0
"""The shortest pause after a 429, so that ``Retry-After: 0`` is not an endless loop."""

MAX_UNHINTED_PAUSE_S = RATE_WINDOW_S
"""After a silent window any per-minute limit has room again, so longer guesses gain nothing."""

CLIMB_PER_SUCCESS = 0.25
"""Requests per minute won back by each answer: from 45 to 90 in 180 answers, so in minutes."""


class Budget:
    """How many requests fit into the running minute; time is an argument, nothing waits."""

    def __init__(self, max_requests_per_minute: int) -> None:
        if max_requests_per_minute < 1:
            raise ValueError("max_requests_per_minute must be at least 1")
        self._max = max_requests_per_minute
        self._allowance = float(max_requests_per_minute)
        # No more than the newest max sends can ever decide, so memory is bounded by the limit.
        self._sent_at: deque[float] = deque(maxlen=max_requests_per_minute)
        self._resume_at = float("-inf")
        self._storms = 0
        self._throttled_s = 0.0

    @property
    def allowance(self) -> int:
        """Requests per minute allowed at present; between 1 and the configured maximum."""
        return int(self._allowance)

    @property
    def throttled_s(self) -> float:
        """Seconds of pause that the source has asked for so far; overlapping ones count once."""
        return self._throttled_s

    def used(self, now: float) -> int:
        """Requests that still count against the budget."""
        oldest = now - (RATE_WINDOW_S + JITTER_MARGIN_S)
        return sum(1 for sent_at in self._sent_at if sent_at > oldest)

    def pause_s(self, now: float) -> float:
        """Seconds left of the pause that the source asked for."""
        return max(0.0, self._resume_at - now)

    def delay_s(self, now: float) -> float:
        """Seconds until the next request may be sent; 0 means now."""
        delay_s = self._resume_at - now
        if len(self._sent_at) >= self.allowance:
            counted = self._sent_at[-self.allowance]
            delay_s = max(delay_s, counted + RATE_WINDOW_S + JITTER_MARGIN_S - now)
        return delay_s if delay_s > TICK_S else 0.0

    def spend(self, now: float) -> None:
        """Count one request as sent; ask ``delay_s`` first."""
        self._sent_at.append(now)

    def throttle(self, now: float, retry_after_s: float | None) -> None:
        """Obey one 429: pause, and halve the allowance once per storm.

        What was already in flight when a pause began is answered with 429 as well and says
        nothing new: it may lengthen the pause, but does not halve again.
        """
        if now >= self._resume_at:
            self._allowance = max(1.0, self._allowance / 2)
            self._storms += 1
        if retry_after_s is None:
            # 2**6 s is over the cap; a larger exponent would only grow the number.
            retry_after_s = min(MAX_UNHINTED_PAUSE_S, 2.0 ** min(self._storms - 1, 6))
        resume_at = now + max(MIN_PAUSE_S, retry_after_s)
        if resume_at > self._resume_at:
            self._throttled_s += resume_at - max(now, self._resume_at)
            self._resume_at = resume_at

    def succeed(self) -> None:
        """Win back a little of the allowance; an answer is proof that the source has room."""
        self._storms = 0
        self._allowance = min(float(self._max), self._allowance + CLIMB_PER_SUCCESS)


@dataclass(order=True, slots=True)
class _Ticket:
    """One waiting request; orders by lane, then by arrival."""

    lane: Lane
    number: int
    woken: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


class Limiter:
    """The one gate in front of every request to the source.

    The waiting requests stand in one line, ordered by lane and arrival. Only its head may go; it
    sleeps until the budget has room. Whoever wakes looks again whether it is still the head, so a
    better lane that arrives during the sleep goes first, and no task is needed to keep time.
    """

    def __init__(self, *, max_requests_per_minute: int, max_concurrency: int, clock: Clock) -> None:
        if max_concurrency < 1:
            raise ValueError("max_concurrency must be at least 1")
        self._budget = Budget(max_requests_per_minute)
        self._max_concurrency = max_concurrency
        self._clock = clock
        self._line: list[_Ticket] = []
        self._numbers = itertools.count()
        self._active = 0

    @property
    def throttled_s(self) -> float:
        """Seconds of pause that the source has asked for so far."""
        return self._budget.throttled_s

    @property
    def requests_in_window(self) -> int:
        """Requests that count against the budget now."""
        return self._budget.used(self._clock.monotonic())

    @property
    def allowance(self) -> int:
        """Requests per minute allowed at present."""
        return self._budget.allowance

    @property
    def pause_s(self) -> float:
        """Seconds left of the pause that the source asked for."""
        return self._budget.pause_s(self._clock.monotonic())

    @property
    def delay_s(self) -> float:
        """Seconds until the budget would let the next request go."""
        return self._budget.delay_s(self._clock.monotonic())

    @asynccontextmanager
    async def slot(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for the right to send one request, and hold one place until the block ends.

        The budget is spent at entry and not given back, whatever becomes of the request.
        Cancel-safe: yes; a cancelled waiter has spent nothing and the next one is woken.
        """
        await self._enter(lane)
        try:
            yield
        finally:
            self._active -= 1
            self._wake_head()

    def pause(self, retry_after_s: float | None) -> None:
        """Let nobody send until the source is ready again, and slow down afterwards."""
        self._budget.throttle(self._clock.monotonic(), retry_after_s)

    def succeed(self) -> None:
        """Tell the budget that the source answered."""
        self._budget.succeed()

    async def _enter(self, lane: Lane) -> None:
        ticket = _Ticket(lane, next(self._numbers))
        heapq.heappush(self._line, ticket)
        try:
            while (delay_s := self._delay_s(ticket)) != 0:
                await self._wait(ticket, delay_s)
            # No await between the decision and its effect: two waiters cannot take one place.
            self._active += 1
            self._budget.spend(self._clock.monotonic())
        finally:
            self._line.remove(ticket)
            heapq.heapify(self._line)
            self._wake_head()

    def _delay_s(self, ticket: _Ticket) -> float | None:
        """Seconds until this ticket may go; ``None`` when another one has to act first."""
        if self._line[0] is not ticket or self._active >= self._max_concurrency:
            return None
        return self._budget.delay_s(self._clock.monotonic())

    async def _wait(self, ticket: _Ticket, delay_s: float | None) -> None:
        if delay_s is None:
            ticket.woken.clear()
            await ticket.woken.wait()
        else:
            await self._clock.sleep(delay_s)

    def _wake_head(self) -> None:
        if self._line:
            self._line[0].woken.set()
