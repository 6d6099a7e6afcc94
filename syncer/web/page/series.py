"""
What the plots of the status page show.

Owns which points a plot has, what is said of it to those who do not see it, and the table that
stands beside it. Never draws.
Invariant: a point that nobody knows is left out, never shown as zero.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from syncer.web.page.plots import Plot
from syncer.web.page.values import Extras, Facts, ModelCount
from syncer.web.page.words import count, day, weekday_hour

MINUTES = 60
MAX_DAYS = 90
"""Points of the longest line; with more days than that every second, third, … is shown."""


@dataclass(frozen=True, slots=True)
class Series:
    """A plot and the same in words."""

    plot: Plot
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def all_series(
    extras: Extras | None, requests: Sequence[tuple[datetime, int]], now: datetime, facts: Facts
) -> tuple[Series, ...]:
    """The plots that something is known for."""
    sent = _requests(requests, now, facts.max_requests_per_minute)
    if extras is None:
        return (sent,)
    return (_models(extras, now.astimezone(UTC).date()), _changes(extras), sent)


def _models(extras: Extras, today: date) -> Series:
    points = _each_day(extras.models_over_time, today)
    is_counted = extras.sampled_share >= 1
    basis = "" if is_counted else f"Estimated from {extras.sampled_share:.1%} of the mirror. "
    if points:
        first, last = points[0], points[-1]
        about = "" if is_counted else "about "
        said = (
            f"From {about}{count(first.live)} live models on {first.day} "
            f"to {about}{count(last.live)} on {last.day}; {count(last.removed)} removed in all."
        )
    else:
        said = "Nothing is mirrored yet."
    plot = Plot(
        key="models",
        title="Live models over time",
        description=said,
        labels=tuple(day(each.day) for each in points),
        values=tuple(each.live for each in points),
        is_level=True,
    )
    rows = (
        (f"{each.day}", count(each.live), count(each.removed))
        for each in reversed(extras.models_over_time)
    )
    return Series(plot, basis + said, ("Day", "Live", "Removed"), tuple(rows)[:MAX_DAYS])


def _each_day(known: Sequence[ModelCount], today: date) -> list[ModelCount]:
    """Days in between as the day before them, thinned so that the last one stays."""
    if not known:
        return []
    by_day = {each.day: each for each in known}
    last = known[0]
    filled: list[ModelCount] = []
    for number in range((max(today, known[-1].day) - known[0].day).days + 1):
        this = known[0].day + timedelta(days=number)
        last = by_day.get(this, last)
        filled.append(ModelCount(this, last.live, last.removed))
    step = -(-len(filled) // MAX_DAYS)
    return filled[::-1][::step][::-1]


def _changes(extras: Extras) -> Series:
    cut_at = extras.changes_cut_at
    points = tuple(
        (hour, None if cut_at is not None and hour <= cut_at else models)
        for hour, models in extras.changes_per_hour
    )
    known = [models for _, models in points if models is not None]
    said = "Nothing is known yet."
    if known:
        said = (
            f"{count(sum(known))} models were last changed at the source in these "
            f"{len(known)} hours, at most {count(max(known))} in one."
        )
    elif cut_at is not None:
        said = "More models changed in this hour than are counted."
    if known and cut_at is not None:
        said += f" There were too many to count before {weekday_hour(cut_at)}."
    plot = Plot(
        key="changes",
        title="Changed models per hour",
        description=said,
        labels=tuple(weekday_hour(hour) for hour, _ in points),
        values=tuple(models for _, models in points),
    )
    note = f"{said} Each counts once, in the hour of its newest change."
    return Series(plot, note, ("Hour (UTC)", "Models"), _rows(points))


def _requests(
    requests: Sequence[tuple[datetime, int]], now: datetime, budget: int | None
) -> Series:
    sent = {_minute(at): number for at, number in requests}
    minutes = [_minute(now) - timedelta(minutes=number) for number in reversed(range(MINUTES))]
    points = tuple((minute, sent.get(minute, 0)) for minute in minutes)
    busiest = max(number for _, number in points)
    # The minute under way is not over: the one before says how much of the budget is in use.
    said = f"{count(points[-2][1])} in the last full minute, {count(busiest)} in the busiest"
    said += "." if budget is None else f"; the budget is {count(budget)} a minute."
    plot = Plot(
        key="requests",
        title="Requests per minute",
        description=said,
        labels=tuple(f"{minute:%H:%M}" for minute, _ in points),
        values=tuple(number for _, number in points),
        limit=budget,
    )
    note = f"{said} Sent by this process."
    rows = ((f"{minute:%H:%M}", count(number)) for minute, number in reversed(points) if number)
    return Series(plot, note, ("Minute (UTC)", "Requests"), tuple(rows))


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _rows(points: Iterable[tuple[datetime, int | None]]) -> tuple[tuple[str, ...], ...]:
    """Newest first, without the hours in which nothing happened."""
    told = ((weekday_hour(hour), models) for hour, models in points if models != 0)
    return tuple((hour, count(models)) for hour, models in reversed(tuple(told)))
