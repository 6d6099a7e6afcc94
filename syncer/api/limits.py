"""
When a request may be sent: one budget, one concurrency cap and one pause for everybody.

Owns the order in which waiting requests go. Never sends, never retries; what this process may
send at all is its ``Share``.
Invariant: no more than ``max_requests_per_minute`` requests arrive in any 60 s, by all processes
that share a ledger.
Kind: edge (waits on the clock and the ledger).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from syncer.api.share import Ledger, LoneLedger, Share
from syncer.domain import Lane
from syncer.errors import StoreError, Verdict
from syncer.tokens import LOOK_S, Terms, Wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from syncer.domain import Clock

__all__ = ["Ledger", "Limiter", "Passage", "Terms"]

FIRST_ASK: Final = 4
"""Tokens to begin with: enough for a poll, and a command that is killed blocks no more of them."""

POLL_PATIENCE_S: Final = 5.0
"""A poll waits so long for a token of its own, so that an idle daemon does not ask for another
each time that its polls come a little sooner than a minute."""

QUIET_S: Final = 5.0
"""After so long without a request the others get what is not needed."""

IDLE_LOOK_S: Final = 3.0
"""Between two looks, which write nothing, whether others wait for what an idle process holds."""

KEEP_S: Final = 1.0

LEDGER_RETRY_S: Final = 0.5

LEDGER_PATIENCE_S: Final = 300.0

HUNGER_S: Final = 5.0
"""A process that may send nothing at all, as others hold the whole budget, says so after so long:
those that work give way in less, so that it is most likely a process that was killed."""

DETAIL_PLACES: Final = 2
"""One of so many requests under way may be for details: however slowly they are answered, others
have places of their own."""

DETAIL_LEAVES: Final = 10
"""Details leave one of so many tokens to everybody else: a sweep of a few pages, or a poll that
finds more than it was told of, need not wait until the tokens of a whole minute are ripe again."""

_ONE_BY_ONE: Final = {Lane.POLL, Lane.DELETED_FEED}
"""Work that needs a few requests; all other could use the whole budget."""


@dataclass(order=True, slots=True)
class _Ticket:
    """One waiting request; orders by lane, then by arrival."""

    lane: Lane
    number: int
    arrived_at: float = field(compare=False)
    woken: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


class Passage:
    """One request under way."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self.was_answered = False

    def answered(self) -> None:
        """The answer has begun, so the source has counted the request: its token can cool."""
        if not self.was_answered:
            self.was_answered = True
            self._limiter.cool(is_answered=True)


class Limiter:
    """The one gate in front of every request to the source.

    The waiting requests stand in one line, ordered by lane and arrival. Only its head may go; it
    sleeps until the budget has room. Whoever wakes looks again whether it is still the head, so a
    better lane that arrives during the sleep goes first, and no task is needed to keep time.

    Args:
        max_requests_per_minute: of all processes that share the ledger.
        max_concurrency: of this one.
        ledger: where the processes agree; none: this one is alone.
        name: of this process in the ledger; no other may have it.
        reserve: tokens that an idle process keeps (``syncer.tokens.Terms``).
        patience_s: how long a request waits for a ledger that cannot be reached.
        on_trouble: told the first error of each time that the ledger cannot be reached.
        on_hunger: told once, after ``HUNGER_S``, of each time that others hold the whole budget.
        terms: the same with another window, for tests.
    """

    def __init__(  # noqa: PLR0913 - everything that varies is an argument, by keyword
        self,
        *,
        max_requests_per_minute: int,
        max_concurrency: int,
        clock: Clock,
        ledger: Ledger | None = None,
        name: str = "this process",
        reserve: int = 0,
        patience_s: float = LEDGER_PATIENCE_S,
        on_trouble: Callable[[StoreError], None] = lambda _error: None,
        on_hunger: Callable[[], None] = lambda: None,
        terms: Terms | None = None,
    ) -> None:
        if max_concurrency < 1:
            raise ValueError("max_concurrency must be at least 1")
        self._share = Share(
            ledger or LoneLedger(clock, name=name),
            terms or Terms(max_requests_per_minute, reserve),
            clock,
            name=name,
        )
        self._max_concurrency = max_concurrency
        self._clock = clock
        self._patience_s = patience_s
        self._on_trouble = on_trouble
        self._on_hunger = on_hunger
        self._line: list[_Ticket] = []
        self._numbers = itertools.count()
        self._active = 0
        self._active_details = 0
        self._busy_at = -math.inf
        self._polled_at: deque[float] = deque()
        self._told_since: float | None = None
        self._hungry_since: float | None = None
        self._was_hunger_told = False

    @property
    def throttled_s(self) -> float:
        """Seconds of pause that the source has asked for so far."""
        return self._share.throttled_s

    @property
    def requests_in_window(self) -> int:
        """Requests of this process that count against the budget now."""
        return self._share.purse.weighing(self._clock.monotonic())

    @property
    def held(self) -> int:
        """Requests a minute that this process may send without asking the others."""
        return self._share.purse.held

    @property
    def allowance(self) -> int:
        """Requests per minute allowed at present, to all processes together."""
        return self._share.allowance(self._clock.monotonic())

    @property
    def pause_s(self) -> float:
        """Seconds left of the pause that the source asked for."""
        return self._share.pause_s(self._clock.monotonic())

    @property
    def delay_s(self) -> float:
        """Seconds until the budget would let the next request go, as far as is known here."""
        return self._share.delay_s(self._clock.monotonic())

    @property
    def holds_up(self) -> bool:
        """Whether a request waits for anything but an earlier one: for budget, pause or ledger."""
        return self.pause_s > 0 or (bool(self._line) and self._has_place(self._line[0].lane))

    @asynccontextmanager
    async def slot(self, lane: Lane) -> AsyncIterator[Passage]:
        """Wait for the right to send one request, and hold one place until the block ends.

        The budget is spent at entry and not given back, whatever becomes of the request. Whoever
        knows when its answer begins says so (``Passage.answered``).

        Raises:
            StoreError: the ledger could not be reached for ``patience_s``; nothing was sent.
        Cancel-safe: yes; a cancelled waiter has spent nothing and the next one is woken.
        """
        await self._enter(lane)
        passage = Passage(self)
        try:
            yield passage
        finally:
            self._active -= 1
            self._active_details -= lane is Lane.DETAIL
            if not passage.was_answered:
                self.cool(is_answered=False)
            self._wake_head()

    def cool(self, *, is_answered: bool) -> None:
        """Let the token of a request that has ended, or begun to be answered, become ripe."""
        self._share.purse.cool(self._clock.monotonic(), is_answered=is_answered)
        self._wake_head()

    def pause(self, retry_after_s: float | None, *, sent_at: float | None = None) -> None:
        """Let nobody send until the source is ready again, and slow down afterwards.

        Args:
            sent_at: when the request was sent that was answered so; by default now.
        """
        now = self._clock.monotonic()
        self._share.throttle(now, retry_after_s, now if sent_at is None else sent_at)

    def succeed(self) -> None:
        """Tell the budget that the source answered."""
        self._share.succeed(self._clock.monotonic())

    async def keep_forever(self) -> None:
        """Give back what is not needed, and what others need more, while nothing is sent.

        Looks at the ledger only while something is held or has to be said; writes only if
        something changes. Ends by cancellation.
        """
        while True:
            await self._clock.sleep(KEEP_S)
            self._mind_hunger()
            try:
                await self._keep()
            except StoreError as error:
                if error.verdict is not Verdict.RETRY:
                    raise

    async def leave(self) -> None:
        """Give everything back, when nothing more is sent.

        Raises:
            StoreError: the others find out by themselves.
        """
        await self._share.leave()

    async def _keep(self) -> None:
        share, now = self._share, self._clock.monotonic()
        if self._line:
            self._busy_at = now
        quiet_s, reserve = now - self._busy_at, share.terms.reserve
        has_excess = min(share.purse.returnable(), share.purse.held - reserve) > 0
        if quiet_s >= QUIET_S and has_excess:
            await share.agree(None, keep=reserve)
        elif quiet_s >= LOOK_S and share.wanted:
            await share.agree(None)
        elif share.has_news:
            await share.agree(Wish())
        elif share.purse.held > 0:
            age_s = LOOK_S if quiet_s < QUIET_S else IDLE_LOOK_S
            if share.looked_ago_s(now) >= age_s:
                await share.agree(Wish())

    def _mind_hunger(self) -> None:
        now, share = self._clock.monotonic(), self._share
        is_hungry = bool(self._line) and share.purse.held == 0
        if not is_hungry or share.away_since is not None or self.pause_s > 0:
            self._hungry_since, self._was_hunger_told = None, False
        elif self._hungry_since is None:
            self._hungry_since = now
        elif now - self._hungry_since >= HUNGER_S and not self._was_hunger_told:
            self._was_hunger_told = True
            self._on_hunger()

    async def _enter(self, lane: Lane) -> None:
        ticket = _Ticket(lane, next(self._numbers), self._clock.monotonic())
        heapq.heappush(self._line, ticket)
        try:
            while not self._may_go(ticket):
                await self._advance(ticket)
            # No await between the decision and its effect: two waiters cannot take one place.
            self._active += 1
            self._active_details += lane is Lane.DETAIL
            self._share.purse.spend()
            self._busy_at = self._clock.monotonic()
            if lane in _ONE_BY_ONE:
                self._polled_at.append(self._busy_at)
        finally:
            self._line.remove(ticket)
            heapq.heapify(self._line)
            self._wake_head()

    def _is_its_turn(self, ticket: _Ticket) -> bool:
        return self._line[0] is ticket and self._has_place(ticket.lane)

    def _has_place(self, lane: Lane) -> bool:
        """Details go last, so whatever else waits stands before them in the line."""
        if lane is Lane.DETAIL:
            places = max(1, self._max_concurrency // DETAIL_PLACES)
            if self._active_details >= places:
                return False
        return self._active < self._max_concurrency

    def _may_go(self, ticket: _Ticket) -> bool:
        return self._is_its_turn(ticket) and self._next_s() == 0

    def _next_s(self) -> float | None:
        now = self._clock.monotonic()
        return self._share.next_s(now, patience_s=self._token_patience_s(), spare=self._spare(now))

    def _spare(self, now: float) -> int:
        """Tokens that the head of the line must leave to polls: a backfill may spend a whole
        minute's budget at once, and a poll could not go before that minute is over.
        """
        while self._polled_at and now - self._polled_at[0] > self._share.terms.ripening_s:
            self._polled_at.popleft()
        if not self._line or self._line[0].lane in _ONE_BY_ONE:
            return 0
        spare = max(0, self._share.terms.reserve - len(self._polled_at))
        if self._line[0].lane is Lane.DETAIL:
            spare += self._share.purse.held // DETAIL_LEAVES
        return spare

    async def _advance(self, ticket: _Ticket) -> None:
        """Wait, or agree with the others, until something may have changed for this ticket."""
        next_s = self._next_s() if self._is_its_turn(ticket) else math.inf
        if next_s is None:
            await self._agree(ticket)
        elif math.isfinite(next_s):
            await self._clock.sleep(next_s)
        else:
            # Somebody else has to act first.
            ticket.woken.clear()
            await ticket.woken.wait()

    async def _agree(self, ticket: _Ticket) -> None:
        share = self._share
        try:
            await share.agree(self._wish(), spare=self._spare(self._clock.monotonic()))
        except StoreError as error:
            since = share.away_since
            if error.verdict is not Verdict.RETRY or since is None:
                raise
            if self._clock.monotonic() - max(since, ticket.arrived_at) >= self._patience_s:
                raise
            if since != self._told_since:
                self._told_since = since
                self._on_trouble(error)
            await self._clock.sleep(LEDGER_RETRY_S)

    def _wish(self) -> Wish:
        """Few tokens at first, then twice as many each time; a killed process blocks no more."""
        purse, terms, now = self._share.purse, self._share.terms, self._clock.monotonic()
        if purse.ripens_s(now, spare=self._spare(now)) <= self._token_patience_s():
            return Wish()
        room = terms.limit - purse.held
        wanted = max(len(self._line), purse.held, FIRST_ASK, terms.reserve - purse.held)
        asked = max(0, min(room, wanted))
        return Wish(asked, max(0, room) if self._has_much_to_do() else asked)

    def _token_patience_s(self) -> float:
        return 0.0 if self._has_much_to_do() else POLL_PATIENCE_S

    def _has_much_to_do(self) -> bool:
        return any(ticket.lane not in _ONE_BY_ONE for ticket in self._line)

    def _wake_head(self) -> None:
        if self._line:
            self._line[0].woken.set()
