"""
Step through a listing by key, and prove that nothing was skipped where a token had to be used.

Owns the order of questions of one walk. Never asks them, never stores anything.
Invariant: every row that the source showed between the walk's first lower bound and ``after_ms``
was on a page that was handed out before ``after_ms`` moved there. Public tokens are offsets into
a live ordering (UPSTREAM §5): a row that leaves shifts the rest and hides one. So the walk asks
again from the last row's time; where that would repeat the question (more rows on one instant
than fit a page, empty pages) it follows the token, and reads the span so crossed again until two
readings in a row list the same ids.
Kind: pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from syncer.domain import (
    Crossing,
    Listed,
    Millis,
    Model,
    Page,
    Question,
    Unusable,
    Walk,
    format_millis,
    key_time,
    known_id,
)
from syncer.errors import WalkBroken

MAX_READINGS = 5
"""Unequal readings of one span before the partition is reported."""

MAX_EMPTY_PAGES = 20
"""Pages without a dated row, in a row, before the partition is reported."""

_DIGEST_MASK = (1 << 63) - 1  # fits PostgreSQL's bigint


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a token chain stands. Lost in a crash, without harm: the question is asked again."""

    token: str | None = None
    used_tokens: frozenset[str] = frozenset()
    upto_ms: Millis | None = None
    digest: int = 0
    empty_pages: int = 0
    unequal: int = 0
    """Readings of the crossed span that differed from the one before. Not durable: a partition that
    was reported for them starts counting anew, or it could never leave the span."""


@dataclass(frozen=True, slots=True)
class Step:
    """A walk after one more page."""

    walk: Walk
    reading: Reading


def next_question(
    walk: Walk,
    reading: Reading,
    *,
    page_size: int,
    type_: str | None = None,
    tag: str | None = None,
) -> Question:
    """The question that continues this walk."""
    after_ms, before_ms = _bounds(walk)
    return Question(
        sort_key=walk.key,
        after_ms=after_ms,
        before_ms=before_ms,
        page_size=page_size,
        token=reading.token,
        type=type_,
        tag=tag,
    )


def advance(walk: Walk, reading: Reading, page: Page) -> Step:
    """The walk after ``page``, which answered ``next_question(walk, reading)``.

    Raises:
        WalkBroken: the page is unsorted, holds a row outside the asked bounds, repeats a token,
            or belongs to an endless run of empty pages or unequal readings. The walk that was
            passed in stays valid.
    """
    times = _checked_times(walk, page)
    reading = _count_empty(reading, found_any=bool(times))
    if walk.crossing is not None and walk.crossing.upto_ms is None and times:
        # The span that showed nothing shows something now: an ordinary question after all, or,
        # where a token led here, a first crossing that is yet to be read again.
        walk = replace(walk, crossing=None)
    if walk.crossing is not None:
        return _advance_rereading(walk, walk.crossing, reading, page)
    if reading.token is not None:
        return _advance_by_token(walk, reading, page, times)
    return _advance_by_key(walk, reading, page, times)


def _advance_by_key(walk: Walk, reading: Reading, page: Page, times: list[Millis]) -> Step:
    if page.next_token is None:
        return Step(replace(walk, done=True), Reading())
    if times:
        stepped = Millis(times[-1] - 1)
        if walk.after_ms is None or stepped > walk.after_ms:
            return Step(replace(walk, after_ms=stepped), Reading())
    upto_ms = times[-1] if times else None
    begun = replace(reading, upto_ms=upto_ms, digest=_digest_upto(0, walk, page, upto_ms))
    return Step(walk, _follow_token(begun, page.next_token))


def _advance_by_token(walk: Walk, reading: Reading, page: Page, times: list[Millis]) -> Step:
    upto_ms = reading.upto_ms
    if upto_ms is None and times:
        # The empty pages are behind us. What this page holds whole is read again at once; of its
        # last instant there may be more to come, unless it is the only one.
        upto_ms = times[0] if times[0] == times[-1] else Millis(times[-1] - 1)
    digest = _digest_upto(reading.digest, walk, page, upto_ms)
    passed = upto_ms is not None and bool(times) and times[-1] > upto_ms
    if page.next_token is not None and not passed:
        grown = replace(reading, upto_ms=upto_ms, digest=digest)
        return Step(walk, _follow_token(grown, page.next_token))
    crossing = Crossing(walk.after_ms, upto_ms, readings=1, digest=digest)
    return Step(replace(walk, crossing=crossing), Reading())


def _advance_rereading(walk: Walk, crossing: Crossing, reading: Reading, page: Page) -> Step:
    digest = _digest_upto(reading.digest, walk, page, crossing.upto_ms)
    if page.next_token is not None:
        return Step(walk, _follow_token(replace(reading, digest=digest), page.next_token))
    # One answer without a continuation was not crossed by token: it cannot have skipped a row.
    if reading.token is None or digest == crossing.digest:
        return _leave_crossing(walk, crossing)
    unequal = reading.unequal + 1
    if unequal + 1 >= MAX_READINGS:
        raise WalkBroken(
            f"{MAX_READINGS} readings of the models at {_instant(crossing)} listed different ids "
            "each time, so nothing proves that none was skipped",
            sort_key=str(walk.key),
        )
    again = replace(crossing, readings=crossing.readings + 1, digest=digest)
    return Step(replace(walk, crossing=again), Reading(unequal=unequal))


def _leave_crossing(walk: Walk, crossing: Crossing) -> Step:
    if crossing.upto_ms is None:
        return Step(replace(walk, crossing=None, done=True), Reading())
    # The whole instant is proven: the next question starts after it, not within it.
    return Step(replace(walk, crossing=None, after_ms=crossing.upto_ms), Reading())


def _bounds(walk: Walk) -> tuple[Millis | None, Millis | None]:
    if walk.crossing is None:
        return walk.after_ms, walk.before_ms
    if walk.crossing.upto_ms is None:
        return walk.crossing.after_ms, walk.before_ms
    return walk.crossing.after_ms, Millis(walk.crossing.upto_ms + 1)


def _checked_times(walk: Walk, page: Page) -> list[Millis]:
    """The readable times of the page's rows, in listed order; of a repeated row the first."""
    after_ms, before_ms = _bounds(walk)
    times: list[Millis] = []
    listed: set[tuple[str, Millis]] = set()
    for entry in page.entries:
        at_ms = key_time(entry, walk.key)
        if at_ms is None or (known_id(entry), at_ms) in listed:
            continue
        listed.add((known_id(entry), at_ms))
        if times and at_ms < times[-1]:
            raise WalkBroken(_complaint(entry, walk, at_ms, "comes after a later one"))
        if after_ms is not None and at_ms <= after_ms:
            raise WalkBroken(
                _complaint(entry, walk, at_ms, f"is not after {format_millis(after_ms)} as asked")
            )
        if before_ms is not None and at_ms >= before_ms:
            raise WalkBroken(
                _complaint(entry, walk, at_ms, f"is not before {format_millis(before_ms)} as asked")
            )
        times.append(at_ms)
    return times


def _complaint(entry: Listed | Model | Unusable, walk: Walk, at_ms: Millis, problem: str) -> str:
    return f"model {known_id(entry)} with {walk.key} {format_millis(at_ms)} {problem}"


def _count_empty(reading: Reading, *, found_any: bool) -> Reading:
    if found_any:
        return replace(reading, empty_pages=0)
    if reading.empty_pages >= MAX_EMPTY_PAGES:
        raise WalkBroken(
            f"{MAX_EMPTY_PAGES + 1} pages in a row were empty and promised more, so the walk "
            "would never end"
        )
    return replace(reading, empty_pages=reading.empty_pages + 1)


def _follow_token(reading: Reading, token: str) -> Reading:
    if token == reading.token or token in reading.used_tokens:
        raise WalkBroken(
            "the source returned a continuation token that it had already given for this "
            "question, so paging would loop"
        )
    return replace(reading, token=token, used_tokens=reading.used_tokens | {token})


def _digest_upto(digest: int, walk: Walk, page: Page, upto_ms: Millis | None) -> int:
    """Add the page's ids at or before ``upto_ms`` to a digest that does not depend on order."""
    if upto_ms is None:
        return digest
    for entry in page.entries:
        at_ms = key_time(entry, walk.key)
        if at_ms is not None and at_ms <= upto_ms:
            hashed = hashlib.blake2b(known_id(entry).encode("utf-8", "replace"), digest_size=8)
            digest += int.from_bytes(hashed.digest(), "big")
    return digest & _DIGEST_MASK


def _instant(crossing: Crossing) -> str:
    return "the end" if crossing.upto_ms is None else format_millis(crossing.upto_ms)
