"""
Cut what remains of a walk, so that idle workers can help.

Owns the arithmetic of windows. Never decides whether help is wanted.
Invariant: the parts tile the walk exactly: no instant is in two parts or in none.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from syncer.domain import Millis, Walk

MIN_PAGES_PER_PART = 2.0
"""A part must be worth at least this many pages, or its half-empty last page costs more than it
saves."""


@dataclass(frozen=True, slots=True)
class Density:
    """How many models a walk met over how much of its time axis."""

    first_ms: Millis
    last_ms: Millis
    models: int

    def expected_models(self, span_ms: int) -> float:
        """Models to expect on ``span_ms`` more, if the density stays."""
        return self.models * span_ms / max(1, self.last_ms - self.first_ms)


def remaining_span(walk: Walk, horizon_ms: Millis) -> int:
    """Milliseconds of the time axis still to be walked; 0 when that is not known or not cuttable.

    ``horizon_ms`` (source time) stands in for the end of a walk that has none.
    """
    if walk.done or walk.crossing is not None or walk.after_ms is None:
        return 0
    return max(0, _end(walk, horizon_ms) - walk.after_ms)


def expected_pages(walk: Walk, density: Density, *, horizon_ms: Millis, page_size: int) -> float:
    """Pages that remain, by the density seen so far."""
    return density.expected_models(remaining_span(walk, horizon_ms)) / page_size


def cut(walk: Walk, *, horizon_ms: Millis, parts: int) -> tuple[Walk, ...]:
    """Split what remains into at most ``parts`` walks of equal time span, in order.

    The first part is the shortened walk itself; the last keeps its end. A walk that cannot be cut
    comes back alone.
    """
    span = remaining_span(walk, horizon_ms)
    if walk.after_ms is None or parts <= 1 or span < 2 * parts:
        return (walk,)
    edges = [Millis(walk.after_ms + span * part // parts) for part in range(1, parts)]
    first = replace(walk, before_ms=Millis(edges[0] + 1))
    middle = tuple(
        replace(walk, after_ms=low, before_ms=Millis(high + 1)) for low, high in pairwise(edges)
    )
    last = replace(walk, after_ms=edges[-1])
    return (first, *middle, last)


def useful_parts(*, pages: float, idle_workers: int, walked: int) -> int:
    """How many parts to make of a walk of ``pages``, given who is free to help.

    Never more than the pages ``walked`` so far: a burst of changes is denser than anything after
    it, and each part that turns out empty has cost a request.
    """
    return max(1, min(idle_workers + 1, walked, int(pages / MIN_PAGES_PER_PART)))


def _end(walk: Walk, horizon_ms: Millis) -> Millis:
    if walk.before_ms is None:
        return horizon_ms
    return min(Millis(walk.before_ms - 1), horizon_ms)
