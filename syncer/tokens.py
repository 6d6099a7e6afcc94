"""
Who may send how many requests: the arithmetic of a budget that several processes share.

A *token* is the permission for one request in any window. A process *holds* tokens and uses each
again once it is *ripe*: a window after the request that spent it was surely counted by the source.
Owns what a process may hold, what it gives back, and what a 429 does to everybody. Never waits,
never reads a clock: times are arguments, or seconds from the moment of a snapshot.
Invariant: tokens held (by the living and the dead) and tokens returned but not ripe are together no
more than the limit, so no window holds more arrivals than that.
Kind: pure.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

WINDOW_S = 60.0
"""The source counts requests per minute (UPSTREAM §6.1)."""

CLOCK_MARGIN_S = 0.1
"""Two clocks that run 0.05 % apart differ by 0.03 s in a window; costs 0.2 % of the budget."""

LATE_S = 1.0
"""How much later than its end on our side a request without an answer may still be counted."""

LOOK_S = 1.0
"""A look at what is agreed is good for so long: what others want, and a pause that they were asked
for, is then seen while we send."""

LONGEST_LOOK_S = 6.0
"""A look that takes longer is given up."""

TRUST_S = LOOK_S + LONGEST_LOOK_S
"""A request goes out at most this long after the moment that proved us alive to the others."""

TICK_S = 0.001
"""Less than this is no wait. Keeps rounding from turning a wait into a spin; 100 times smaller
than the margin that makes it harmless."""

MIN_PAUSE_S = 1.0
"""The shortest pause after a 429, so that ``Retry-After: 0`` is not an endless loop."""

MAX_UNHINTED_PAUSE_S = WINDOW_S
"""After a silent window any per-minute limit has room again, so longer guesses gain nothing."""

CLIMB_S = 360.0
"""From nothing to the whole limit; from the half that a 429 leaves it takes three minutes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one process was configured with."""

    limit: int
    """Requests in any window."""
    reserve: int = 0
    """Tokens that stay here while nothing waits, so that an idle poll writes nothing."""
    window_s: float = WINDOW_S

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError("max_requests_per_minute must be at least 1")

    @property
    def ripening_s(self) -> float:
        """From an answer until its token may be spent again."""
        return self.window_s + CLOCK_MARGIN_S

    @property
    def burial_s(self) -> float:
        """From the moment a holder was found dead until its tokens are free.

        It may live and have lost its connection only: then it sent for up to ``TRUST_S`` more.
        """
        return self.ripening_s + TRUST_S + LATE_S


@dataclass(frozen=True, slots=True)
class Rate:
    """The pause and the reduced rate that 429s have brought about, seen at one moment."""

    resume_s: float = -math.inf
    """Seconds until the pause ends; negative when it ended so long ago."""
    reduced: float | None = None
    """Requests in a window when the pause ends; None: never reduced."""
    storms: int = 0
    """429s in a row, with no success between them."""

    def allowed(self, limit: int) -> float:
        """Requests in a window, between 1 and the limit; climbs by itself as time goes by."""
        if self.reduced is None:
            return float(limit)
        climbed = self.reduced + limit * max(0.0, -self.resume_s) / CLIMB_S
        return min(float(limit), max(1.0, climbed))

    def step_s(self, limit: int) -> float:
        """Seconds until one request more is allowed; infinite at the limit."""
        allowed = self.allowed(limit)
        if allowed >= limit:
            return math.inf
        missing = math.floor(allowed) + 1 - allowed
        return max(0.0, self.resume_s) + missing * CLIMB_S / limit

    def later(self, elapsed_s: float) -> Rate:
        """The same, seen so much later."""
        return replace(self, resume_s=self.resume_s - elapsed_s)


@dataclass(frozen=True, slots=True)
class Throttled:
    """One answer that asked us to slow down."""

    retry_after_s: float | None
    """What it asked for."""
    sent_ago_s: float = 0.0
    """Since its request was sent."""
    succeeded_ago_s: float = math.inf
    """Since this process was last answered well."""

    def applied_to(self, rate: Rate, limit: int) -> Rate:
        """The rate under which everybody goes on.

        A request that was sent before the last pause ended says nothing new, whoever sent it: it
        may lengthen the pause, but does not halve again.
        """
        ended_ago_s = -rate.resume_s
        allowed = rate.allowed(limit)
        storms = 0 if self.succeeded_ago_s <= ended_ago_s else rate.storms
        if self.sent_ago_s <= ended_ago_s:
            allowed = max(1.0, allowed / 2)
            storms += 1
        asked_s = self.retry_after_s
        if asked_s is None:
            # 2**6 s is over the cap; a larger exponent would only grow the number.
            asked_s = min(MAX_UNHINTED_PAUSE_S, 2.0 ** min(max(storms, 1) - 1, 6))
        return Rate(max(rate.resume_s, MIN_PAUSE_S, asked_s), allowed, storms)


@dataclass(frozen=True, slots=True)
class Holder:
    """One process, as the others see it."""

    name: str
    held: int
    wanted: int
    """Tokens it asked for and did not get."""
    limit: int
    """Its ``Terms.limit``; the smallest of the living counts for all."""
    waited_s: float = 0.0
    """Since it wants more, or was last given some; only means something while it wants."""
    dead_s: float | None = None
    """Since it was found dead; None while nobody has."""
    is_alive: bool = True
    """Its session is there. What was not looked at counts as alive."""

    @property
    def is_living(self) -> bool:
        """Neither found dead nor to be found dead now."""
        return self.is_alive and self.dead_s is None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all processes share, seen at one moment."""

    version: int = 0
    """Moves with each agreement; one that was worked out from an older version is void."""
    rate: Rate = Rate()
    returned_s: tuple[float, ...] = ()
    """Seconds until each token that nobody holds is ripe; those that are ripe are left out."""
    holders: tuple[Holder, ...] = ()
    is_registered: bool = True
    """Our session shows that we live, and the others were told."""

    def holder(self, name: str) -> Holder | None:
        """One of the holders."""
        return next((each for each in self.holders if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process would like to have more."""

    now: int = 0
    """Tokens to take at once."""
    in_all: int = 0
    """Tokens it could use in the end; tells the others how large a share to leave."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one process may do, worked out from a snapshot."""

    target: int
    """Tokens it may hold at most; what is over goes back."""
    grant: int
    """Tokens it may take now."""
    limit: int
    """The smallest limit of the living."""
    next_s: float
    """Seconds until more may be granted, as far as is known."""
    dead: tuple[str, ...]
    """Holders to be written down as dead."""
    buried: tuple[str, ...]
    """Holders that were dead for so long that their tokens are free."""


@dataclass(frozen=True, slots=True)
class Move:
    """One agreement, to be stored as a whole or not at all."""

    version: int
    """Of the snapshot that it was worked out from."""
    held: int
    wanted: int
    limit: int
    granted: bool
    returned_s: tuple[float, ...] = ()
    """Of the tokens given back now, seconds until each is ripe."""
    dead: tuple[str, ...] = ()
    buried: tuple[str, ...] = ()
    rate: Rate | None = None
    """The new rate, if there is one."""


def settle(snapshot: Snapshot, name: str, terms: Terms, wish: Wish) -> Settlement:
    """What the process called ``name`` may hold and take."""
    me = snapshot.holder(name) or Holder(name, 0, 0, terms.limit)
    buried = tuple(
        each.name
        for each in snapshot.holders
        if each.name != name and each.dead_s is not None and each.dead_s >= terms.burial_s
    )
    others = [each for each in snapshot.holders if each.name not in {name, *buried}]
    living = [each for each in others if each.is_living]
    limit = min([terms.limit, *(each.limit for each in living)])
    allowed = math.floor(snapshot.rate.allowed(limit))
    me = replace(me, wanted=max(wish.in_all, wish.now), dead_s=None, is_alive=True)
    lost = sum(each.held for each in others if not each.is_living)
    target = _targets(max(0, allowed - lost), [me, *living])[name]
    weighing = sum(each.held for each in (me, *others)) + len(snapshot.returned_s)
    return Settlement(
        target=target,
        grant=max(0, min(wish.now, target - me.held, allowed - weighing)),
        limit=limit,
        next_s=min([snapshot.rate.step_s(limit), *snapshot.returned_s]),
        dead=tuple(each.name for each in others if not each.is_alive and each.dead_s is None),
        buried=buried,
    )


def _targets(capacity: int, holders: Sequence[Holder]) -> dict[str, int]:
    """How many tokens each may hold: what it needs, or an equal share of what there is.

    What an equal share leaves over goes to one holder each, and goes round, so that more holders
    than tokens have turns: first those below, the longest waiting in front; whoever holds one
    already keeps it the rather the shorter it has had it.
    """
    needs = {each.name: each.held + each.wanted for each in holders}
    targets: dict[str, int] = {}
    left = sorted(holders, key=lambda each: needs[each.name])
    while left and needs[left[0].name] * len(left) <= capacity:
        targets[left[0].name] = needs[left[0].name]
        capacity -= needs[left[0].name]
        left.pop(0)
    if not left:
        return targets
    share, over = divmod(capacity, len(left))

    def turn(each: Holder) -> tuple[bool, bool, float, str]:
        has_turn = each.held > share
        waited_s = each.waited_s if has_turn else -each.waited_s
        return has_turn, not each.wanted, waited_s, each.name

    for place, each in enumerate(sorted(left, key=turn)):
        targets[each.name] = share + (place < over)
    return targets


@dataclass(slots=True)
class Purse:
    """The tokens of one process, each ripe, cooling, or spent by a request under way."""

    terms: Terms
    held: int = 0
    in_flight: int = 0
    _cooling: list[float] = field(default_factory=list)
    """When each is ripe, sorted."""
    _offered: list[float] = field(default_factory=list)
    _offered_count: int = 0

    def ripe(self, now: float) -> int:
        """Tokens that may be spent now; negative when more weigh than are held."""
        while self._cooling and self._cooling[0] - now <= TICK_S:
            self._cooling.pop(0)
        return self.held - self.in_flight - len(self._cooling)

    def weighing(self, now: float) -> int:
        """Requests of ours that may still count at the source."""
        self.ripe(now)
        return self.in_flight + len(self._cooling)

    def ripens_s(self, now: float, *, spare: int = 0) -> float:
        """Seconds until a token of ours is ripe; 0 when one is, infinite when none is cooling.

        Args:
            spare: ripe ones that are not for whoever asks.
        """
        lacking = 1 + spare - self.ripe(now)
        if lacking <= 0:
            return 0.0
        if lacking > len(self._cooling):
            return math.inf
        return self._cooling[lacking - 1] - now

    def spend(self) -> None:
        """Put one ripe token under way; ask ``ripe`` first."""
        self.in_flight += 1

    def cool(self, now: float, *, is_answered: bool) -> None:
        """Its request was answered, or ended without one: in a window it is ripe again."""
        self.in_flight -= 1
        late_s = 0.0 if is_answered else LATE_S
        bisect.insort(self._cooling, now + self.terms.ripening_s + late_s)

    def returnable(self) -> int:
        """Tokens that could be given back: all but those under way."""
        return max(0, self.held - self.in_flight)

    def offer(self, count: int, now: float, *, ripest_first: bool) -> tuple[float, ...]:
        """Set tokens aside to be given back; returns the seconds until they are ripe.

        Ripe ones are set aside without a time. ``confirm`` or ``withdraw`` must follow.
        """
        count = min(count, self.returnable())
        ripe = max(0, self.ripe(now))
        cooling = max(0, count - ripe) if ripest_first else min(count, len(self._cooling))
        if ripest_first:
            self._offered, self._cooling = self._cooling[:cooling], self._cooling[cooling:]
        else:
            kept = len(self._cooling) - cooling
            self._cooling, self._offered = self._cooling[:kept], self._cooling[kept:]
        self.held -= count
        self._offered_count = count
        return tuple(ripe_at - now for ripe_at in self._offered)

    def confirm(self) -> None:
        """What was offered is no longer ours."""
        self._offered, self._offered_count = [], 0

    def withdraw(self) -> None:
        """What was offered stays ours, for all that is known."""
        self.held += self._offered_count
        self._cooling = sorted([*self._cooling, *self._offered])
        self.confirm()

    def empty(self, now: float) -> tuple[float, ...]:
        """Hold nothing any more; returns the seconds until the tokens that are not ripe are."""
        self.ripe(now)
        under_way_s = self.terms.ripening_s + LATE_S
        left_s = [*(ripe_at - now for ripe_at in self._cooling), *[under_way_s] * self.in_flight]
        self.held, self._cooling = 0, []
        return tuple(left_s)

    def adopt(self, held: int) -> None:
        """Believe what is stored about the number held.

        After an agreement whose outcome is unknown some of the tokens may be others than we think:
        the ones that take longest are taken for ours, which is never too early.
        """
        self.held = held
        surplus = self.in_flight + len(self._cooling) - held
        if surplus > 0:
            self._cooling = self._cooling[surplus:]
