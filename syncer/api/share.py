"""
This process's share of the request budget: its tokens, and what it agrees with the others.

Owns when the ledger is looked at and when something is written there. Never orders the requests,
and never decides what is fair (``syncer.tokens``).
Invariant: a token is spent only when it is ripe, and only within ``LOOK_S`` after a look that
proved us alive; what was offered back is not spent unless the ledger refused it.
Kind: edge (waits on the ledger).
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from syncer.errors import StoreError
from syncer.tokens import (
    LOOK_S,
    TICK_S,
    Holder,
    Move,
    Purse,
    Rate,
    Settlement,
    Snapshot,
    Terms,
    Throttled,
    Wish,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.domain import Clock

RECHECK_S = 0.5
"""Between two looks for tokens that others give back."""

SHORTEST_WAIT_S = 0.01
"""However soon something is said to happen: a wait is not a spin."""

TRIES = 8
"""Of an agreement that others overtake; whoever overtakes has done something, so somebody moves."""


class Ledger(Protocol):
    """Where processes keep what they agree on."""

    is_shared: bool
    """False: there is nobody else, so it need not be looked at."""

    async def read(self, *, is_asking: bool) -> Snapshot:
        """What is agreed; if ``is_asking``, also whether the others still live.

        Raises:
            StoreError: it cannot be reached.
        """
        ...

    async def write(self, move: Move) -> bool:
        """Store a move, or do nothing (False) if others moved since its snapshot.

        Raises:
            StoreError: it is unknown whether it was stored.
        """
        ...

    async def leave(self, returned_s: Sequence[float]) -> None:
        """Hold nothing any more; ``returned_s`` are the seconds until given back tokens are ripe.

        Raises:
            StoreError: it is unknown whether the others know.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Report:
    """A 429 that the others have not heard of."""

    at: float
    retry_after_s: float | None
    sent_at: float
    succeeded_at: float

    def as_of(self, now: float) -> Throttled:
        asked_s = self.retry_after_s
        return Throttled(
            None if asked_s is None else max(0.0, asked_s - (now - self.at)),
            now - self.sent_at,
            now - self.succeeded_at,
        )


class Share:
    """What one process may send, by itself or beside others."""

    def __init__(self, ledger: Ledger, terms: Terms, clock: Clock, *, name: str) -> None:
        self.terms = terms
        self.purse = Purse(terms)
        self.throttled_s = 0.0
        """Seconds of pause that were asked for so far; overlapping ones count once."""
        self.away_since: float | None = None
        """Since when the ledger cannot be reached."""
        self._name = name
        self._ledger = ledger
        self._clock = clock
        self._turn = asyncio.Lock()
        self._rate, self._rate_at = Rate(), 0.0
        self._limit = terms.limit
        self._target = 0
        self._wanted = 0
        self._spare = 0
        self._unsaid: list[_Report] = []
        self._succeeded_at = -math.inf
        self._look_at = -math.inf
        self._ask_at = -math.inf

    @property
    def wanted(self) -> int:
        """What the others believe that we want."""
        return self._wanted

    @property
    def has_news(self) -> bool:
        """Whether there is a 429 that the others have not heard of."""
        return bool(self._unsaid)

    def allowance(self, now: float) -> int:
        """Requests in any window that all processes together may send at present."""
        return math.floor(self._rate_as_of(now).allowed(self._limit))

    def pause_s(self, now: float) -> float:
        """Seconds left of the pause that the source asked for."""
        return max(0.0, self._rate_as_of(now).resume_s)

    def looked_ago_s(self, now: float) -> float:
        """Seconds since the ledger was last seen."""
        return now - self._look_at + LOOK_S

    def delay_s(self, now: float) -> float:
        """Seconds until the pause is over and a token is ripe, as far as can be known here."""
        ripens_s = self.purse.ripens_s(now)
        delay_s = max(self.pause_s(now), ripens_s if math.isfinite(ripens_s) else 0.0)
        return delay_s if delay_s > TICK_S else 0.0

    def next_s(self, now: float, *, patience_s: float, spare: int = 0) -> float | None:
        """Seconds until something can happen: 0 when a token may be spent now, None to agree first.

        Args:
            patience_s: a token of ours that is ripe so soon is waited for, and no other asked for.
            spare: tokens of ours that are for others of this process.
        """
        if self._unsaid:
            return None
        pause_s = self.pause_s(now)
        if pause_s > TICK_S:
            return pause_s
        seen_s = self._look_at - now
        if seen_s <= 0 or self._surplus():
            return None
        ripens_s = self.purse.ripens_s(now, spare=spare)
        if ripens_s <= 0:
            return 0.0
        ask_s = math.inf if ripens_s <= patience_s else self._ask_at - now
        if ask_s <= 0:
            return None
        return max(SHORTEST_WAIT_S, min(ripens_s, ask_s, seen_s))

    def throttle(self, now: float, retry_after_s: float | None, sent_at: float) -> None:
        """Obey one 429 here and now; the others hear of it with the next agreement."""
        report = _Report(now, retry_after_s, sent_at, self._succeeded_at)
        self._unsaid.append(report)
        self._take_rate(report.as_of(now).applied_to(self._rate_as_of(now), self._limit), now)

    def succeed(self, now: float) -> None:
        """Remember an answer; it ends a row of storms."""
        self._succeeded_at = now

    async def agree(self, wish: Wish | None, *, keep: int | None = None, spare: int = 0) -> None:
        """Look at the ledger, and write what there is to write; often nothing.

        Args:
            wish: None when nobody waits.
            keep: tokens to be left here; what is above goes back.
            spare: as for ``next_s``.

        Raises:
            StoreError: the ledger cannot be reached.

        Cancel-safe: yes; what was offered stays ours until the ledger is read again.
        """
        async with self._turn:
            self._spare = spare
            try:
                for _ in range(TRIES):
                    if await self._try(wish, keep):
                        break
                else:
                    self._ask_at = self._clock.monotonic() + RECHECK_S
            except StoreError:
                if self.away_since is None:
                    self.away_since = self._clock.monotonic()
                raise
            self.away_since = None

    async def leave(self) -> None:
        """Give everything back.

        Raises:
            StoreError: the others find out by themselves that we are gone.
        """
        if self._unsaid:
            await self.agree(None)
        async with self._turn:
            returned_s = self.purse.empty(self._clock.monotonic())
            self._look_at = -math.inf
            await self._ledger.leave(returned_s)

    async def _try(self, wish: Wish | None, keep: int | None) -> bool:
        """One attempt; False when others were quicker."""
        wish_or_none, is_asking = wish or Wish(), wish is not None and wish.now > 0
        snapshot = await self._ledger.read(is_asking=is_asking)
        now = self._clock.monotonic()
        said = len(self._unsaid)
        snapshot = replace(snapshot, rate=self._told(snapshot.rate, now))
        me = snapshot.holder(self._name) or Holder(self._name, 0, 0, 0)
        self.purse.adopt(me.held)
        settlement = settle(snapshot, self._name, self.terms, wish_or_none)
        wanted = me.wanted if wish is not None else 0
        if is_asking:
            in_all = max(wish_or_none.in_all, wish_or_none.now)
            wanted = 0 if settlement.grant >= wish_or_none.now else in_all - settlement.grant
        held = self.purse.held
        try:
            returned_s = self._offer(settlement, keep, now)
            move = Move(
                version=snapshot.version,
                held=self.purse.held + settlement.grant,
                wanted=wanted,
                limit=self.terms.limit,
                granted=settlement.grant > 0,
                returned_s=returned_s,
                dead=settlement.dead if is_asking else (),
                buried=settlement.buried if is_asking else (),
                rate=snapshot.rate if said else None,
            )
            if held == self.purse.held and _is_idle(move, snapshot, me):
                pass
            elif not await self._ledger.write(move):
                return False
            self.purse.confirm()
        finally:
            self.purse.withdraw()
        self.purse.held += settlement.grant
        del self._unsaid[:said]
        self._see(snapshot.rate, settlement, now)
        self._wanted = wanted
        return True

    def _offer(self, settlement: Settlement, keep: int | None, now: float) -> tuple[float, ...]:
        surplus = self.purse.held - settlement.target
        if surplus > 0:
            return self.purse.offer(surplus, now, ripest_first=True)
        if keep is not None and self.purse.held > keep:
            return self.purse.offer(self.purse.held - keep, now, ripest_first=False)
        return ()

    def _see(self, rate: Rate, settlement: Settlement, read_at: float) -> None:
        now = self._clock.monotonic()
        self._take_rate(rate, read_at)
        self._limit = settlement.limit
        self._target = settlement.target
        if self._ledger.is_shared:
            recheck_s = RECHECK_S if self.purse.held < settlement.target else LOOK_S
            self._look_at = now + LOOK_S
        else:
            recheck_s = self._look_at = math.inf
        is_dry = self.purse.ripe(now) <= self._spare
        wait_s = max(SHORTEST_WAIT_S, min(recheck_s, settlement.next_s))
        self._ask_at = now + (wait_s if is_dry else 0.0)

    def _told(self, rate: Rate, now: float) -> Rate:
        """The rate after everybody heard of the 429s of ours."""
        for report in self._unsaid:
            rate = report.as_of(now).applied_to(rate, self._limit)
        return rate

    def _take_rate(self, rate: Rate, at: float) -> None:
        before = self._rate_at + self._rate.resume_s
        self.throttled_s += max(0.0, at + rate.resume_s - max(at, before))
        self._rate, self._rate_at = rate, at

    def _rate_as_of(self, now: float) -> Rate:
        return self._rate.later(now - self._rate_at)

    def _surplus(self) -> int:
        return max(0, min(self.purse.held - self._target, self.purse.returnable()))


def _is_idle(move: Move, snapshot: Snapshot, me: Holder) -> bool:
    """Whether there is nothing in a move that others have to know."""
    return (
        snapshot.is_registered
        and not (move.granted or move.dead or move.buried)
        and move.rate is None
        and bool(move.wanted) == bool(me.wanted)
    )


class LoneLedger:
    """Of a process that knows of no other."""

    is_shared = False

    def __init__(self, clock: Clock, *, name: str) -> None:
        self._clock = clock
        self._name = name
        self._held = self._wanted = 0
        self._limit = 1
        self._ripe_at: list[float] = []
        self._rate, self._rate_at = Rate(), 0.0

    async def read(self, *, is_asking: bool) -> Snapshot:
        """What was agreed before."""
        del is_asking
        now = self._clock.monotonic()
        returned_s = (at - now for at in self._ripe_at)
        return Snapshot(
            rate=self._rate.later(now - self._rate_at),
            returned_s=tuple(each for each in returned_s if each > TICK_S),
            holders=(Holder(self._name, self._held, self._wanted, self._limit),),
        )

    async def write(self, move: Move) -> bool:
        """Nobody is ever quicker."""
        now = self._clock.monotonic()
        self._held, self._wanted, self._limit = move.held, move.wanted, move.limit
        self._ripe_at = [at for at in self._ripe_at if at > now]
        self._ripe_at += [now + ripens_s for ripens_s in move.returned_s]
        if move.rate is not None:
            self._rate, self._rate_at = move.rate, now
        return True

    async def leave(self, returned_s: Sequence[float]) -> None:
        """Nobody is left to tell."""
