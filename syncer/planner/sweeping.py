"""
What a sweep has seen, and what it must ask a second time.

Owns the rules of absence: which ids a page proves to be listed, where it proves nothing, and the
windows that confirm. Never asks, never removes.
Invariant: whatever is in doubt counts as listed.
Kind: pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from syncer.domain import (
    PROBE,
    Blind,
    CycleKind,
    Millis,
    Page,
    Partition,
    Plan,
    Seen,
    SortKey,
    Unusable,
    Walk,
    key_time,
    known_id,
)
from syncer.planner.choose import EVERYTHING


def plan_sweep(reason: str, *, models: int, page_size: int) -> Plan:
    """A complete range walk; idle workers cut it while it runs."""
    return Plan(
        kind=CycleKind.SWEEP,
        strategy="time",
        reason=reason,
        partitions=(Partition(EVERYTHING, Walk(SortKey.CREATED)),),
        estimated_models=models,
        estimated_requests=walk_requests(models, page_size),
    )


def plan_sweep_poll() -> Plan:
    """One question that is a complete sweep, where the listing fits one page."""
    return Plan(
        kind=CycleKind.SWEEP,
        strategy=PROBE,
        reason="the listing fits one page, so one request compares all of it",
        partitions=(Partition(EVERYTHING, Walk(SortKey.CREATED)),),
        estimated_models=None,
        estimated_requests=1,
    )


def walk_requests(models: int, page_size: int) -> int:
    """Requests of a complete range walk; each page repeats the row that the last one ended with."""
    return max(1, math.ceil(models / max(1, page_size - 1)))


def seen_on(walk: Walk, page: Page) -> Seen:
    """What ``page``, an answer to a question of ``walk``, proves to be listed.

    A record without a readable id could be any model created between its neighbours, so the whole
    range of its page is left alone.
    """
    ids = tuple(known_id(entry) for entry in page.entries)
    if all(map(_has_id, page.entries)):
        return Seen(ids)
    times = [at for entry in page.entries if (at := key_time(entry, walk.key)) is not None]
    after_ms = walk.crossing.after_ms if walk.crossing else walk.after_ms
    # A record at the page's end may have been created later than all that is readable on it.
    is_bounded = key_time(page.entries[-1], walk.key) is not None
    return Seen(ids, Blind(after_ms, Millis(max(times) + 1) if is_bounded else walk.before_ms))


def confirming_walks(instants: Iterable[Millis], *, whole_requests: int) -> tuple[Walk, ...]:
    """The second questions about models created at these instants.

    A window each, neighbours sharing one; where there are more instants than a second complete walk
    takes requests (``whole_requests``), that walk: so a list that was cut short does no harm.
    """
    distinct = sorted(set(instants))
    if len(distinct) > whole_requests:
        return (Walk(SortKey.CREATED),)
    windows: list[tuple[int, int]] = []
    for at_ms in distinct:
        if windows and at_ms - 1 < windows[-1][1]:
            windows[-1] = (windows[-1][0], at_ms + 1)
        else:
            windows.append((at_ms - 1, at_ms + 1))
    return tuple(
        Walk(SortKey.CREATED, Millis(after_ms), Millis(before_ms))
        for after_ms, before_ms in windows
    )


def _has_id(entry: object) -> bool:
    return not isinstance(entry, Unusable) or entry.has_id
