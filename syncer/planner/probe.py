"""
Prove, with a handful of questions, the order and the bounds that every walk relies on.

Owns those questions and the meaning of their answers. Never asks.
Invariant: as ``finding``: an answer that proves nothing contradicts nothing.
Kind: pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from syncer.domain import (
    Listed,
    Millis,
    Model,
    Privacy,
    Question,
    SortKey,
    Unusable,
    format_millis,
    key_time,
)
from syncer.planner.finding import Finding

SAMPLE_PAGE = 100
"""Enough models to see an order, and to find two instants between which to ask."""

_NO_WALK = (
    "Run 'syncer check' again, as a model may have changed in between; if it stays so, do not "
    "mirror this source: models would be missed without a trace."
)
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """A list answer, as far as findings need it."""

    entries: tuple[Listed | Model | Unusable, ...]
    next_token: str | None

    def times(self, key: SortKey) -> list[Millis]:
        """The readable times of its models, in listed order."""
        found = (key_time(entry, key) for entry in self.entries)
        return [at_ms for at_ms in found if at_ms is not None]


@dataclass(frozen=True, slots=True)
class Interval:
    """Two instants at which the source has models; one, when it has no other."""

    key: SortKey
    first_ms: Millis
    last_ms: Millis

    @property
    def ends(self) -> frozenset[Millis]:
        """The instants themselves."""
        return frozenset({self.first_ms, self.last_ms})

    def reaches(self, at_ms: Millis) -> bool:
        """Whether an instant may be in an answer to ``excluding`` or ``including`` at all."""
        return at_ms >= self.first_ms and (at_ms <= self.last_ms or len(self.ends) == 1)

    def excluding(self) -> Question:
        """Asks strictly between the two: neither may be listed.

        Of a single instant only what follows: nothing lies between it and itself.
        """
        before_ms = self.last_ms if self.last_ms > self.first_ms else None
        return Question(self.key, self.first_ms, before_ms, SAMPLE_PAGE)

    def including(self) -> Question:
        """Asks from one millisecond before the first to one after the last: both must be listed."""
        after_ms, before_ms = Millis(self.first_ms - 1), Millis(self.last_ms + 1)
        return Question(self.key, after_ms, before_ms, SAMPLE_PAGE)


def pick_interval(key: SortKey, listing: Listing) -> Interval | None:
    """Two neighbouring instants of a sorted page; ``None`` when no model has a readable time.

    Instants on a full second are passed over where there are others: a source that cuts its bounds
    to seconds would look exact on them. So are neighbours with more models than one page holds.
    """
    times = listing.times(key)
    if not times:
        return None
    models_at = Counter(times)
    instants = sorted(models_at)
    for first_ms, last_ms in pairwise(instants):
        few = models_at[first_ms] + models_at[last_ms] <= SAMPLE_PAGE
        fine = first_ms % _SECOND_MS and last_ms % _SECOND_MS
        if few and fine and last_ms - first_ms > 1:
            return Interval(key, first_ms, last_ms)
    single = next((at_ms for at_ms in instants if at_ms % _SECOND_MS), instants[0])
    return Interval(key, single, single)


def order_finding(privacy: Privacy, key: SortKey, listing: Listing) -> Finding:
    """Whether ``sortBy`` with ``sortDirection=asc`` is honoured."""
    name = f"{privacy}.order.{key}"
    times = listing.times(key)
    fall = next((b for a, b in pairwise(times) if b < a), None)
    if fall is not None:
        return Finding(
            name,
            "unordered",
            f"asked in rising order of {key}, models come out of order",
            contradicts=f"the {privacy} listing is not in rising order of {key}: a model of "
            f"{format_millis(fall)} comes after a later one, and every walk resumes by that order",
            remedy=_NO_WALK,
        )
    if len(set(times)) < 2:  # noqa: PLR2004 - two instants have an order
        return Finding(name, None, "too few models to see an order")
    return Finding(name, "ascending", f"models come in rising order of {key}, as walks rely on")


def bounds_finding(
    privacy: Privacy, interval: Interval, excluding: Listing, including: Listing
) -> Finding:
    """Whether bounds are exclusive, and exact to the millisecond."""
    key, name = interval.key, f"{privacy}.bounds.{interval.key}"
    inside, around = set(excluding.times(key)), set(including.times(key))
    asked = f"asked by {key} for models {_span(interval)}, the {privacy} listing"
    if strays := [at for at in inside | around if not interval.reaches(at)]:
        said = f"{asked} shows one at {format_millis(min(strays))}, outside of that"
        return _broken_bounds(name, "ignored", "bounds do not narrow the listing", said)
    if touched := interval.ends & inside:
        said = f"{asked} shows one at {format_millis(min(touched))}, on the bound itself"
        return _broken_bounds(name, "inclusive", "a model on the bound is listed", said)
    missing = interval.ends - around
    if missing and including.next_token is not None:
        return Finding(name, None, "more models at those instants than one page shows")
    if missing:
        said = (
            f"asked by {key} from 1 ms before {format_millis(min(missing))} to 1 ms after it, the "
            f"{privacy} listing leaves out the model at that instant"
        )
        return _broken_bounds(name, "coarse", "bounds are coarser than a millisecond", said)
    return Finding(name, "exclusive", "bounds are exclusive and exact to 1 ms, as walks rely on")


def _span(interval: Interval) -> str:
    if len(interval.ends) == 1:
        return f"after {format_millis(interval.first_ms)}"
    return f"between {format_millis(interval.first_ms)} and {format_millis(interval.last_ms)}"


def _broken_bounds(name: str, value: str, meaning: str, said: str) -> Finding:
    why = f"{said}; every walk steps by such bounds"
    return Finding(name, value, meaning, contradicts=why, remedy=_NO_WALK)
