"""
The settle rule: from where a delta walk asks, and how far a watermark may go.

Owns watermark arithmetic. Never reads a clock: source time comes from the ``Date`` of the first
page of a cycle; our own clock can only cast doubt on it.
Invariant: a watermark never decreases; when in doubt it is too old, which only costs a re-read.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from syncer.domain import Cycle, CycleKind, Millis, Proven

MAX_DATE_AHEAD_MS = 10_000
"""How far the source's ``Date`` may run ahead of our clock before it is doubted."""

MAX_ROW_AHEAD_MS = 3_600_000
"""How far a row may be dated in the future and still be believed."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """What a catalog's delta walks have proven so far."""

    watermark_ms: Millis
    """Everything up to here is stored."""
    settled_from_ms: Millis | None
    """``source_now`` of the last complete delta cycle; ``None`` before the first."""


def believed_date(
    date_ms: Millis | None, *, our_now_ms: Millis, tolerance_ms: int = MAX_DATE_AHEAD_MS
) -> Millis | None:
    """The ``Date`` of a page, unless it is ahead of our clock: then it is as good as none.

    A ``Date`` that runs ahead of the source's own timestamps would settle what can still change.
    Our clock never stands in for it; it can only raise a doubt, and if it is our clock that is
    wrong, the walk starts earlier than it need. One that runs behind is safe as it is.
    """
    if date_ms is None or date_ms > our_now_ms + tolerance_ms:
        return None
    return date_ms


def newest_seen(times: Iterable[Millis | None], *, latest_ms: int) -> Millis:
    """The newest source time seen, for want of a ``Date``: it can only be too old.

    What is dated after ``latest_ms`` is not believed, since that would be too new; 0 when nothing
    is left.
    """
    return max((at for at in times if at is not None and at <= latest_ms), default=Millis(0))


def delta_after(frontier: Frontier, *, overlap_ms: int) -> Millis:
    """The exclusive lower bound of the next delta walk.

    The index may show a change late, but not later than the overlap. An instant that is older
    than that can gain no more rows: it is asked after. Otherwise the walk steps 1 ms back, since
    bounds are exclusive and rows may share the watermark's own instant.
    """
    low = delta_low(frontier, overlap_ms=overlap_ms)
    if frontier.settled_from_ms is None:
        return Millis(low - 1)
    return Millis(low if low < frontier.settled_from_ms - overlap_ms else low - 1)


def delta_low(frontier: Frontier, *, overlap_ms: int) -> Millis:
    """The source time below which delta walks have read everything, late changes included."""
    if frontier.settled_from_ms is None:
        return frontier.watermark_ms
    return Millis(min(frontier.watermark_ms, frontier.settled_from_ms - overlap_ms))


def prove(
    stored_ms: Millis | None,
    newest_ms: Millis | None,
    cycle: Cycle,
    *,
    overlap_ms: int,
    latest_ms: int,
    has_delta: bool = True,
) -> Proven:
    """What the catalog has proven once ``cycle`` is complete.

    Args:
        stored_ms: the watermark so far.
        newest_ms: newest ``updatedAt`` that the cycle was shown.
        cycle: tells the source time and the ceiling.
        overlap_ms: how late the source may show a change.
        latest_ms: rows dated after it do not carry the watermark there: one of them would leave it
            in a distant future for good.
        has_delta: the listing can be asked for what changed; in a private one a delta cycle proves
            that new models are stored, and nothing of the others.
    """
    if newest_ms is not None and newest_ms > latest_ms:
        newest_ms = cycle.source_now_ms
    is_delta = cycle.kind is CycleKind.DELTA
    began = first_watermark(cycle.source_now_ms, overlap_ms=overlap_ms)
    if stored_ms is None:
        return Proven(began, newest_ms)
    if is_delta and not has_delta:
        return Proven(stored_ms, newest_ms, is_fresh=False)
    proven = [stored_ms] if is_delta else [stored_ms, began]
    if is_delta or cycle.is_one_answer:
        proven.append(raised_watermark(stored_ms, newest_ms=newest_ms, ceiling_ms=cycle.ceiling_ms))
    return Proven(max(proven), newest_ms)


def first_watermark(source_now_ms: Millis, *, overlap_ms: int) -> Millis:
    """Where delta walks start after a complete walk that began at ``source_now_ms``."""
    return Millis(source_now_ms - overlap_ms)


def raised_watermark(
    watermark_ms: Millis, *, newest_ms: Millis | None, ceiling_ms: Millis | None
) -> Millis:
    """The watermark after a complete delta cycle.

    The newest stored row, but not past the ceiling: rows beyond it were not all asked for. DESIGN
    §2 moves it to the ceiling itself; the newest row is never later, and it stands still while
    nothing changes, so that nothing is read again.
    """
    if newest_ms is None:
        return watermark_ms
    reached = newest_ms if ceiling_ms is None else min(newest_ms, ceiling_ms)
    return max(watermark_ms, reached)
