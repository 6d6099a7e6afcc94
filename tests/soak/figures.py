"""
What a soak run measured, and the rules by which it is judged.

Owns the arithmetic: the slope, the sparkline, the checks. Never measures anything.
Invariant: a rule that could not be applied (too few samples) says so, and does not pass silently.
Kind: pure.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIB = 1 << 20
SETTLED_FROM = 1 / 3
"""Of the time since a process last changed its part (leading, standing by) the last two thirds are
judged: until then it fills its caches, and who begins to lead opens what leading needs."""
FEWEST = 12
"""Samples in those two thirds, for a judgement."""
GROWTH_LIMIT_BYTES = 8 * MIB
"""What the slope may add up to in the window, however short: caches and an allocator still fill."""
SLOPE_LIMIT_BYTES_PER_H = 12 * MIB
"""What the slope may be where the window is long enough to tell it from that."""
LONG_WINDOW_S = 12 * 60
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    at_s: float
    rss_bytes: int
    fds: int
    threads: int
    cpu_s: float
    leads: int | None = 0
    """Catalogs whose lease it holds; ``None`` while the database is away."""
    healthz: int | None = None
    """The status of its ``/healthz``; ``None`` when nothing listens."""


@dataclass(frozen=True)
class Check:
    """One rule, and what it said."""

    what: str
    is_kept: bool
    found: str


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """The last two thirds of the time in which a process did the same."""
    samples = in_one_part(samples)
    if not samples:
        return []
    begin, end = samples[0].at_s, samples[-1].at_s
    from_s = begin + (end - begin) * SETTLED_FROM
    return [each for each in samples if each.at_s >= from_s]


def in_one_part(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples since it last began or ceased to lead."""
    begin, leading = 0, None
    for place, sample in enumerate(samples):
        if sample.leads is None:
            continue
        if leading is not None and leading != bool(sample.leads):
            begin = place
        leading = bool(sample.leads)
    return samples[begin:]


def slope_per_s(points: Sequence[tuple[float, float]]) -> float:
    """The median of all slopes between two points (Theil, Sen): a lone peak does not move it."""
    slopes = [
        (later - earlier) / (end - begin)
        for (begin, earlier), (end, later) in itertools.combinations(points, 2)
        if end > begin
    ]
    return statistics.median(slopes) if slopes else 0.0


def check_memory(name: str, samples: Sequence[Sample]) -> Check:
    """Resident memory stands still."""
    what = (
        f"{name}: memory is flat (slope x window up to {GROWTH_LIMIT_BYTES / MIB:g} MiB; from "
        f"{LONG_WINDOW_S / 60:g} min on, slope up to {SLOPE_LIMIT_BYTES_PER_H / MIB:g} MiB/h)"
    )
    window = settled(samples)
    if len(window) < FEWEST:
        return Check(what, is_kept=False, found=f"only {len(window)} samples")
    slope = slope_per_s([(each.at_s, float(each.rss_bytes)) for each in window])
    length_s = window[-1].at_s - window[0].at_s
    growth = slope * length_s
    is_slow = length_s < LONG_WINDOW_S or slope * 3600 <= SLOPE_LIMIT_BYTES_PER_H
    found = f"{slope * 3600 / MIB:+.1f} MiB/h, {growth / MIB:+.2f} MiB in {length_s:.0f} s"
    return Check(what, is_slow and growth <= GROWTH_LIMIT_BYTES, found)


def check_open(name: str, what: str, points: Sequence[tuple[float, float]]) -> Check:
    """What is open goes up and down with the work; a leak only goes up."""
    title = f"{name}: as many {what} at the end as before (fitted growth below one)"
    if len(points) < FEWEST:
        return Check(title, is_kept=False, found=f"only {len(points)} samples")
    growth = slope_per_s(points) * (points[-1][0] - points[0][0])
    values = [value for _, value in points]
    found = f"{growth:+.1f}, between {min(values):g} and {max(values):g}"
    return Check(title, growth < 1, found)


def check_member(name: str, samples: Sequence[Sample]) -> list[Check]:
    """All that is asked of one process that lived to the end."""
    window = settled(samples)
    return [
        check_memory(name, samples),
        check_open(name, "descriptors", [(each.at_s, each.fds) for each in window]),
        check_open(name, "threads", [(each.at_s, each.threads) for each in window]),
        check_health(name, samples),
    ]


def check_health(name: str, samples: Sequence[Sample]) -> Check:
    """Where something listens, it lives: databases and sources that are away do not matter."""
    answers = [each.healthz for each in samples if each.healthz is not None]
    bad = [each for each in answers if each != 200]
    found = f"{len(answers)} answers, {len(bad)} of them bad" if answers else "nothing listens"
    return Check(f"{name}: /healthz was never red", not bad, found)


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """A curve in one line, from its lowest to its highest value."""
    if not values:
        return ""
    step = max(1.0, len(values) / width)
    places = [int(step * place) for place in range(min(width, len(values)))]
    chosen = [values[place] for place in places]
    low, high = min(chosen), max(chosen)
    span = (high - low) or 1
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1))] for value in chosen)


def between(samples: Sequence[Sample], read: Callable[[Sample], float]) -> tuple[float, float]:
    """The medians of the first and of the last quarter of the judged window."""
    values = [read(each) for each in settled(samples)]
    quarter = max(1, len(values) // 4)
    if not values:
        return 0.0, 0.0
    return statistics.median(values[:quarter]), statistics.median(values[-quarter:])
