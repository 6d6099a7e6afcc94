"""
Whether the crawls move, and whether the daemon is ready: the rules of ``/healthz`` and ``/readyz``.

Owns what counts as movement and what excuses a standstill. Never reads a clock or a database, never
logs: times are arguments, in seconds of one monotonic clock.
Invariant: only time in which a crawl could have moved brings it nearer to being stalled.
Kind: pure.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SWEEP = "sweep"


class Duty(enum.Enum):
    """What a process has to do with a catalog."""

    NONE = "none"
    """The lease was not asked for yet, or nobody could be asked."""
    HOLDER = "holder"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Stall:
    """A crawl that does not move although nothing excuses it."""

    catalog: str
    kind: str
    since: float
    """Of its last movement, on the monotonic clock."""
    still_s: float
    """Without what is excused, so it may be less than the time since then."""


@dataclass(slots=True)
class _Crawl:
    """The cycles of one kind of a catalog, until one of them moves."""

    since: float
    still_s: float = 0.0
    is_open: bool = True
    was_told: bool = False


class Vitals:
    """Which crawls move.

    A crawl moves when it commits a page or comes to its end. A cycle that fails because the source
    does not answer is neither: the next one goes on standing still. Nobody is blamed for waiting
    for the request budget, for a pause that the source asked for, for the database, or for the
    lease; nor for resting between two polls. A poll may wait for a sweep that removes models, so
    what moves the sweep moves the poll.

    Args:
        stall_after_s: so much unexcused standstill is a stall.
    """

    def __init__(self, stall_after_s: float) -> None:
        self.stall_after_s = stall_after_s
        self._crawls: dict[tuple[str, str], _Crawl] = {}
        self._asking: Counter[str] = Counter()
        self._wait_for_database: set[str] = set()

    def start(self, catalog: str, kind: str, now: float) -> None:
        """A cycle begins; one that failed without an answer before goes on."""
        crawl = self._crawls.setdefault((catalog, kind), _Crawl(now))
        crawl.is_open = True

    def move(self, catalog: str, now: float, *, of_sweep: bool) -> None:
        """A page of the catalog is durable."""
        self._wait_for_database.discard(catalog)
        self._revive(catalog, now, of_sweep=of_sweep)

    def finish(self, catalog: str, kind: str, now: float, *, unanswered: bool) -> None:
        """A cycle has ended; ``unanswered``: because the source does not answer."""
        self._wait_for_database.discard(catalog)
        if unanswered and (crawl := self._crawls.get((catalog, kind))) is not None:
            crawl.is_open = False
            return
        self._crawls.pop((catalog, kind), None)
        self._revive(catalog, now, of_sweep=kind == SWEEP)

    def ask(self, catalog: str) -> None:
        """A request goes out: from now on it is the source that is waited for."""
        self._asking[catalog] += 1

    def hear(self, catalog: str) -> None:
        """That request has ended."""
        self._asking[catalog] -= 1

    def await_database(self, catalog: str) -> None:
        """The database did not take something; until it does, nothing can move."""
        self._wait_for_database.add(catalog)

    def rest(self, catalog: str | None = None) -> None:
        """Nothing is crawled any more: the lease is another's, or (``None``) a round has ended."""
        for name, kind in list(self._crawls):
            if catalog in {None, name}:
                del self._crawls[name, kind]

    def tick(self, passed_s: float, *, is_budget_short: bool, is_database_away: bool) -> bool:
        """Let time pass; returns whether a crawl has become stalled just now."""
        is_new = False
        for (catalog, _), crawl in self._crawls.items():
            waits = is_budget_short and not self._asking[catalog]
            if not crawl.is_open or waits or is_database_away:
                continue
            if catalog not in self._wait_for_database:
                crawl.still_s += passed_s
            if crawl.still_s >= self.stall_after_s and not crawl.was_told:
                crawl.was_told = is_new = True
        return is_new

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The crawls that are stalled."""
        return tuple(
            Stall(catalog, kind, crawl.since, crawl.still_s)
            for (catalog, kind), crawl in sorted(self._crawls.items())
            if crawl.was_told
        )

    def _revive(self, catalog: str, now: float, *, of_sweep: bool) -> None:
        for (name, kind), crawl in list(self._crawls.items()):
            if name != catalog:
                continue
            if not crawl.is_open:
                # It ended without an answer, and the source answers again.
                del self._crawls[name, kind]
            elif of_sweep or kind != SWEEP:
                self._crawls[name, kind] = _Crawl(now)


def unready_reasons(
    document: Mapping[str, Any] | None, duties: Mapping[str, Duty], problem: str | None
) -> list[str]:
    """Why the daemon is not ready; empty when it is.

    Args:
        document: the newest status document, as old as it may be; ``None`` before there is one.
        duties: of the configured catalogs.
        problem: what is wrong with the database or its schema.
    """
    reasons: list[str] = [problem] if problem else []
    if document is not None:
        reasons.extend(document["reasons"])
    elif not reasons:
        reasons.append("the state was not read from the database yet")
    reasons.extend(
        f"catalog {name}: the lease is neither held nor stood by for"
        for name, duty in duties.items()
        if duty is Duty.NONE
    )
    return reasons


def lateness(samples: Iterable[tuple[float, float]], *, since: float) -> float:
    """The worst of ``(seen at, seconds late)`` that was seen since then; 0 without any."""
    return max((late_s for at, late_s in samples if at >= since), default=0.0)


def health_document(stalls: Sequence[Stall], since: Sequence[str]) -> dict[str, Any]:
    """What ``/healthz`` says; ``since`` are the wall-clock times of the stalls."""
    return {
        "healthy": not stalls,
        "stalled": [
            {
                "catalog": stall.catalog,
                "cycle": stall.kind,
                "since": at,
                "still_s": round(stall.still_s, 1),
            }
            for stall, at in zip(stalls, since, strict=True)
        ],
    }
