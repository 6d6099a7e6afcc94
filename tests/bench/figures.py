"""
What was measured, as medians, ratios, a table and a JSON document.

Owns the arithmetic of the suite. Never measures anything, never judges.
Invariant: a ratio is the median of the ratios of single rounds, because both sides of one round met
the same noise.
Kind: pure.
"""

from __future__ import annotations

import statistics
import textwrap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, float]
"""What one round said, by name with its unit."""

HEAD_WIDTH = 11


@dataclass(frozen=True)
class Row:
    """One contender, or one size, with what each round said of it."""

    label: str
    rounds: tuple[Figures, ...]

    def median(self) -> Figures:
        """Each figure's median over the rounds that have it."""
        names = dict.fromkeys(name for figures in self.rounds for name in figures)
        return {name: statistics.median(self.values(name)) for name in names}

    def values(self, name: str) -> list[float]:
        """One figure, round by round."""
        return [figures[name] for figures in self.rounds if name in figures]


@dataclass(frozen=True)
class Report:
    """One scenario's table, with what has to be known beside it."""

    scenario: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    """Name of the ratio → label → value."""


def rows_from(rounds: Sequence[dict[str, Figures]]) -> tuple[Row, ...]:
    """Rows in order of first appearance from rounds of ``label → figures``."""
    labels = dict.fromkeys(label for each in rounds for label in each)
    return tuple(Row(label, tuple(r[label] for r in rounds if label in r)) for label in labels)


def ratio(ours: Row, theirs: Row, name: str) -> float | None:
    """How many times theirs ours is: the median of the rounds' ratios."""
    pairs = zip(ours.values(name), theirs.values(name), strict=False)
    ratios = [mine / other for mine, other in pairs if other]
    return statistics.median(ratios) if ratios else None


def ratios_to(ours: str, rows: Iterable[Row], name: str) -> dict[str, float]:
    """``ratio`` of one row to each of the others, by their labels."""
    by_label = {row.label: row for row in rows}
    found = {
        label: ratio(by_label[ours], row, name)
        for label, row in by_label.items()
        if label != ours and ours in by_label
    }
    return {label: value for label, value in found.items() if value is not None}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that no less than ``share`` of all are at or below."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def busiest_window(at_s: Sequence[float], window_s: float) -> int:
    """The most arrivals in any half-open window of that length; ``at_s`` is sorted."""
    counts = (bisect_left(at_s, begin + window_s) - place for place, begin in enumerate(at_s))
    return max(counts, default=0)


def mean_rate(at_s: Sequence[float], per_s: float) -> float:
    """Arrivals in so many seconds, on average from the first to the last; ``at_s`` is sorted."""
    took_s = at_s[-1] - at_s[0] if at_s else 0.0
    return (len(at_s) - 1) / took_s * per_s if took_s else 0.0


def table(report: Report) -> str:
    """The report for people: medians, ratios, notes."""
    medians = {row.label: row.median() for row in report.rows}
    names = [*dict.fromkeys(name for figures in medians.values() for name in figures)]
    columns = [(name, {label: f.get(name) for label, f in medians.items()}) for name in names]
    columns += list(report.ratios.items())
    heads = [textwrap.wrap(name.replace("_", " "), HEAD_WIDTH) for name, _ in columns]
    height = max((len(head) for head in heads), default=0)
    widths = [max(8, *(len(line) for line in head)) for head in heads]
    left = max((len(row.label) for row in report.rows), default=0)
    lines = [f"== {report.scenario}"]
    for number in range(height):
        shown = [
            ([""] * (height - len(head)) + head)[number].rjust(width)
            for head, width in zip(heads, widths, strict=True)
        ]
        lines.append("  ".join((" " * left, *shown)))
    for row in report.rows:
        cells = [
            shorten(values.get(row.label)).rjust(width)
            for (_, values), width in zip(columns, widths, strict=True)
        ]
        lines.append("  ".join((row.label.ljust(left), *cells)))
    return "\n".join((*(line.rstrip() for line in lines), *(f"  - {n}" for n in report.notes)))


def shorten(value: float | None) -> str:
    """A figure in as many digits as a noisy machine gives."""
    if value is None:
        return "."
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "scenario": report.scenario,
        "rows": [
            {"label": row.label, "median": row.median(), "rounds": list(row.rounds)}
            for row in report.rows
        ],
        "ratios": report.ratios,
        "notes": list(report.notes),
    }
