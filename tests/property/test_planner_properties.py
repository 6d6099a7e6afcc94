"""Rules of walking, cutting and settling that hold whatever the source does meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from support.live_listing import (
    BASE_MS,
    QUIET,
    Edit,
    LiveListing,
    Turn,
    calm_turns,
    crowds,
    few_rows,
    instants,
    rows,
    turns,
)
from support.walker import Advance, Follower, never_back, walk_through

from syncer.domain import (
    Crossing,
    Cycle,
    CycleKind,
    Millis,
    Model,
    Page,
    SentOrder,
    SortKey,
    Walk,
    key_time,
    known_id,
)
from syncer.errors import WalkBroken
from syncer.planner import frontier, walk
from syncer.planner.cut import cut, remaining_span
from syncer.planner.frontier import Frontier
from syncer.planner.walk import Reading, Step, advance, next_question

quick = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
thorough = settings(quick, max_examples=500)
long = settings(quick, derandomize=False, max_examples=10_000)
hunt = settings(quick, max_examples=8_000, database=None, phases=[Phase.generate])
"""Whether there is a case is all that is asked; it need not be small."""


@dataclass(frozen=True, slots=True)
class WalkCase:
    """A source, a walk through it, and what happens on the way."""

    key: SortKey
    rows: list[tuple[int, int]]
    after_ms: int | None
    before_ms: int | None
    page_size: int
    turns: tuple[Turn, ...]

    def play(self, advance: Advance = advance) -> LiveListing:
        source = LiveListing(self.rows)
        walk_through(
            source,
            Walk(self.key, _millis(self.after_ms), _millis(self.before_ms)),
            self.turns,
            page_size=self.page_size,
            advance=advance,
        )
        return source


@dataclass(frozen=True, slots=True)
class FollowCase:
    """A source, and a catalog that follows it through several cycles."""

    rows: list[tuple[int, int]]
    page_size: int
    overlap_ms: int
    turns: tuple[Turn, ...]
    date_ahead_ms: int | None = 0

    def play(self, follower_class: type[Follower] = Follower) -> None:
        source = LiveListing(self.rows, date_ahead_ms=self.date_ahead_ms)
        follower = follower_class(source, page_size=self.page_size, overlap_ms=self.overlap_ms)
        for turn in self.turns:
            source.play(turn)
            if follower.parts:
                follower.step(0, turn)
            else:
                follower.begin(turn)
        source.pass_time(10)
        follower.catch_up()
        follower.check()


def _millis(at: int | None) -> Millis | None:
    return None if at is None else Millis(BASE_MS + at)


page_sizes = st.integers(1, 7)
few_per_page = st.sampled_from((1, 1, 2, 2, 3, 7))
"""Small pages make long walks, during which much can happen."""
spans = st.integers(0, 40)
walk_cases = st.builds(
    WalkCase,
    st.sampled_from(SortKey),
    rows,
    st.none() | instants,
    st.none() | instants,
    page_sizes,
    turns(),
)
crowd_cases = st.builds(
    WalkCase,
    st.sampled_from(SortKey),
    crowds,
    st.none(),
    st.none(),
    st.integers(1, 4),
    calm_turns,
)


@st.composite
def wrong_dates(draw: st.DrawFn, overlap_ms: int) -> int | None:
    """By how much ``Date`` runs ahead of the timestamps or behind them; ``None``: no ``Date``."""
    return draw(st.none() | st.integers(-2 * overlap_ms, 2 * overlap_ms))


@st.composite
def follow_cases(draw: st.DrawFn, *, date_is_wrong: bool = False) -> FollowCase:
    """Changes that show up late do so within the overlap."""
    overlap_ms = draw(st.integers(0, 4))
    kinds = ("update", "remove", "add")
    played = draw(turns(kinds=kinds, max_late_ms=overlap_ms))
    date_ahead_ms = draw(wrong_dates(overlap_ms)) if date_is_wrong else 0
    return FollowCase(draw(few_rows), draw(few_per_page), overlap_ms, played, date_ahead_ms)


@st.composite
def busy_cases(draw: st.DrawFn, dates: Callable[[int], st.SearchStrategy]) -> FollowCase:
    """Backlogs that are walked for longer than the overlap, while changes show up as late as can
    be: what disturbs the pages is left to ``follow_cases``."""
    overlap_ms = draw(st.integers(2, 4))
    edit = st.builds(
        Edit,
        st.sampled_from(("add", "add", "update")),
        pick=st.integers(0, 14),
        late_ms=st.sampled_from((0, 0, 0, overlap_ms)),
    )
    turn = st.builds(Turn, edits=st.lists(edit, max_size=2).map(tuple), tick_ms=st.integers(0, 2))
    played = draw(st.lists(turn, min_size=8, max_size=24).map(tuple))
    return FollowCase([(3, 3)], 1, overlap_ms, played, draw(dates(overlap_ms)))


def ahead(overlap_ms: int) -> st.SearchStrategy[int]:
    return st.integers(1, 2 * overlap_ms)


def absent(_: int) -> st.SearchStrategy[None]:
    return st.none()


def falsified(cases: st.SearchStrategy, holds: Callable[..., object]) -> bool:
    """Whether a case is found in which an assertion of the property fails."""

    def fails(case: object) -> bool:
        try:
            holds(case)
        except AssertionError:
            return True
        return False

    try:
        find(cases, fails, settings=hunt, random=random.Random(3))  # noqa: S311 - repeatable
    except NoSuchExample:
        return False
    return True


# --- P1: a walk hands out whatever stands still


@thorough
@given(walk_cases | crowd_cases)
def test_p1_a_walk_hands_out_every_model_that_stood_still(case: WalkCase) -> None:
    """Whatever is updated, added or removed between any two of its questions."""
    case.play()


@pytest.mark.long
@pytest.mark.timeout(1200)
@long
@given(walk_cases | crowd_cases)
def test_p1_a_walk_hands_out_every_model_that_stood_still_at_length(case: WalkCase) -> None:
    case.play()


@thorough
@given(follow_cases())
def test_p1_after_one_quiet_cycle_the_mirror_equals_the_source(case: FollowCase) -> None:
    """Backfill, delta cycles and the settle rule, with changes visible late within the overlap."""
    case.play()


@pytest.mark.long
@pytest.mark.timeout(1200)
@long
@given(follow_cases())
def test_p1_after_one_quiet_cycle_the_mirror_equals_the_source_at_length(
    case: FollowCase,
) -> None:
    case.play()


@thorough
@given(follow_cases(date_is_wrong=True) | busy_cases(wrong_dates))
def test_p1_holds_when_date_disagrees_with_the_timestamps(case: FollowCase) -> None:
    """``Date`` may run ahead or behind by twice the overlap, or be absent."""
    case.play()


@pytest.mark.long
@pytest.mark.timeout(1200)
@long
@given(follow_cases(date_is_wrong=True) | busy_cases(wrong_dates))
def test_p1_holds_when_date_disagrees_with_the_timestamps_at_length(case: FollowCase) -> None:
    case.play()


def test_p1_holds_when_date_runs_ahead_while_a_backlog_is_walked() -> None:
    """A row that the walk met late does not settle what was not visible when the walk passed."""
    turns = (
        QUIET,  # the backfill, in one page
        QUIET,
        QUIET,
        Turn((Edit("add", late_ms=2),)),
        Turn((Edit("update"),), tick_ms=1),
        Turn((Edit("add"),)),  # more than one page by now: a backlog
        Turn(tick_ms=2),
        Turn((Edit("add"),)),
    )
    FollowCase([(3, 3)], 1, 2, turns, date_ahead_ms=2).play()


def test_p1_holds_when_date_runs_ahead_and_the_backfill_found_nothing() -> None:
    """A listing that was empty tells no time but ``Date``."""
    turns = (QUIET, Turn(tick_ms=1), Turn((Edit("add", late_ms=1),)))

    FollowCase([], 1, 1, turns, date_ahead_ms=2).play()


@pytest.mark.parametrize("date_ahead_ms", [0, -1])
def test_a_follower_at_rest_reads_nothing_again(date_ahead_ms: int) -> None:
    """Else the properties above would hold of one that reads everything each time."""
    source = LiveListing([(3, 3), (7, 7)], date_ahead_ms=date_ahead_ms)
    follower = Follower(source, page_size=1, overlap_ms=2)
    for _ in range(3):
        follower.catch_up()
        source.pass_time(5)
    asked = source.questions
    follower.catch_up()

    assert follower.proven == Frontier(
        Millis(BASE_MS + 7), Millis(BASE_MS + source.now_ms + date_ahead_ms)
    )
    assert follower.newest_ms is None, "it was shown a row again"
    assert source.questions == asked + 1


# --- The properties above find the mechanisms taken out


def follow_tokens(walk: Walk, reading: Reading, page: Page) -> Step:
    """Paging as most clients do it."""
    if page.next_token is None:
        return Step(replace(walk, done=True), Reading())
    return Step(walk, replace(reading, token=page.next_token))


def test_paging_by_token_alone_loses_models() -> None:
    assert falsified(walk_cases, lambda case: case.play(advance=follow_tokens))


def test_a_crossing_that_is_read_once_loses_models(monkeypatch: pytest.MonkeyPatch) -> None:
    read_twice = walk._advance_by_token

    def read_once(*args: Any) -> Step:
        step = read_twice(*args)
        crossing = step.walk.crossing
        return step if crossing is None else walk._leave_crossing(step.walk, crossing)

    monkeypatch.setattr(walk, "_advance_by_token", read_once)

    assert falsified(walk_cases, WalkCase.play)


def test_counting_unequal_readings_for_ever_never_leaves_the_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A partition that was reported once must get through when the source has come to rest."""
    count_anew = walk._advance_rereading

    def count_on(at: Walk, crossing: Crossing, reading: Reading, page: Page) -> Step:
        reading = replace(reading, unequal=crossing.readings - 1)
        return count_anew(at, crossing, reading, page)

    monkeypatch.setattr(walk, "_advance_rereading", count_on)

    assert falsified(crowd_cases, WalkCase.play)


def test_asking_strictly_after_the_watermark_loses_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models share an instant, and one of them may show up after the watermark got there."""

    def strictly_after(proven: Frontier, *, overlap_ms: int) -> Millis:
        settled = proven.settled_from_ms
        assert settled is not None
        return min(proven.watermark_ms, Millis(settled - overlap_ms))

    monkeypatch.setattr(frontier, "delta_after", strictly_after)

    assert falsified(follow_cases(), FollowCase.play)


def test_settling_by_the_clock_at_the_end_of_a_walk_loses_models() -> None:
    """What shows up behind the walk while it is under way is not settled when it ends."""

    class Hasty(Follower):
        def settles_at(self, cycle: Cycle) -> Millis:  # noqa: ARG002 - that is the bug
            return Millis(BASE_MS + self.source.now_ms)

    assert falsified(follow_cases(), lambda case: case.play(Hasty))


def test_settling_without_an_overlap_loses_models() -> None:
    class Trusting(Follower):
        def settles_at(self, cycle: Cycle) -> Millis:
            return Millis(cycle.source_now_ms + self.overlap_ms)

    assert falsified(follow_cases(), lambda case: case.play(Trusting))


def test_believing_a_date_that_runs_ahead_loses_models() -> None:
    class Believing(Follower):
        def _believed(self, page: Page) -> Millis | None:
            return page.source_now_ms

    assert falsified(busy_cases(ahead), lambda case: case.play(Believing))


# --- Walks go forwards only, whatever is answered


@st.composite
def answers(draw: st.DrawFn) -> tuple[Walk, Reading, Page]:
    """A walk, and a page that need not answer its question."""
    times = draw(st.lists(spans, max_size=6))
    if draw(st.booleans()):
        times.sort()
    key = draw(st.sampled_from(SortKey))
    after_ms, before_ms = draw(st.none() | spans), draw(st.none() | spans)
    after = None if after_ms is None else Millis(after_ms)
    before = None if before_ms is None else Millis(before_ms)
    upto_ms = draw(st.none() | spans.map(lambda at: Millis(at + (after_ms or 0) + 1)))
    crossing = Crossing(after, upto_ms, readings=draw(st.integers(1, 4)), digest=0)
    token = draw(st.none() | st.sampled_from(("a", "b")))
    reading = Reading(
        token=token,
        used_tokens=frozenset() if token is None else frozenset((token,)),
        empty_pages=draw(st.integers(0, 20)),
        unequal=draw(st.integers(0, 3)),
    )
    page = Page(
        entries=tuple(
            Model(f"m{at}", Millis(at), Millis(at), body=b"1", content_hash=b"") for at in times
        ),
        next_token=draw(st.sampled_from((None, "a", "b", "c"))),
        source_now_ms=None,
        sent_order=SentOrder(1),
    )
    return Walk(key, after, before, draw(st.none() | st.just(crossing))), reading, page


@thorough
@given(answers())
def test_an_answer_moves_a_walk_forwards_over_what_it_showed_or_breaks_it(
    answer: tuple[Walk, Reading, Page],
) -> None:
    before, reading, page = answer
    asked = next_question(before, reading, page_size=9)
    # A row that is listed twice is one row, where it stands first.
    rows = dict.fromkeys((known_id(each), key_time(each, before.key)) for each in page.entries)
    times = [at for _, at in rows if at is not None]
    try:
        step = advance(before, reading, page)
    except WalkBroken:
        return
    after = step.walk

    assert never_back(before, after)
    assert (after.key, after.before_ms) == (before.key, before.before_ms)
    assert times == sorted(times), "an unsorted page was believed"
    assert all(
        (asked.after_ms is None or at > asked.after_ms)
        and (asked.before_ms is None or at < asked.before_ms)
        for at in times
    ), "a row outside the bounds was believed"
    assert step.reading.token not in reading.used_tokens, "a token was followed twice"
    if after.after_ms != before.after_ms:
        crossed = before.crossing.upto_ms if before.crossing else None
        assert after.after_ms in {crossed, *(at - 1 for at in times[-1:])}
    assert not after.done or page.next_token is None


# --- Cuts tile


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    return Walk(
        draw(st.sampled_from(SortKey)),
        draw(st.none() | spans.map(Millis)),
        draw(st.none() | spans.map(Millis)),
        draw(st.none() | st.just(Crossing(Millis(1), Millis(2), readings=1, digest=0))),
        draw(st.booleans()),
    )


def covered(part: Walk, end: int) -> list[int]:
    """The instants that a walk has yet to walk."""
    low = -1 if part.after_ms is None else part.after_ms
    high = end if part.before_ms is None else part.before_ms
    return list(range(low + 1, high))


@quick
@given(walks(), spans, st.integers(0, 9))
def test_parts_tile_what_remains(whole: Walk, horizon: int, parts: int) -> None:
    """No instant is in two parts or in none, and nothing else about the walk changes."""
    pieces = cut(whole, horizon_ms=Millis(horizon), parts=parts)

    assert 1 <= len(pieces) <= max(1, parts)
    assert covered(whole, 50) == [at for piece in pieces for at in covered(piece, 50)]
    assert {(piece.key, piece.crossing, piece.done) for piece in pieces} == {
        (whole.key, whole.crossing, whole.done)
    }
    assert pieces[-1].before_ms == whole.before_ms


@quick
@given(walks(), st.lists(st.tuples(st.integers(0, 9), spans, st.integers(0, 9)), max_size=8))
def test_parts_that_are_cut_again_still_tile(whole: Walk, cuts: list[tuple[int, int, int]]) -> None:
    pieces = [whole]
    for which, horizon, parts in cuts:
        index = which % len(pieces)
        pieces[index : index + 1] = cut(pieces[index], horizon_ms=Millis(horizon), parts=parts)

    assert covered(whole, 50) == [at for piece in pieces for at in covered(piece, 50)]


@quick
@given(walks(), spans, st.integers(2, 9))
def test_every_part_of_a_cut_has_something_to_walk(whole: Walk, horizon: int, parts: int) -> None:
    pieces = cut(whole, horizon_ms=Millis(horizon), parts=parts)

    assert len(pieces) == 1 or all(covered(piece, horizon + 1) for piece in pieces)
    assert len(pieces) == 1 or remaining_span(whole, Millis(horizon)) >= 2 * parts


# --- Watermarks


@quick
@given(spans, st.none() | spans, st.none() | spans)
def test_a_watermark_never_decreases_and_never_passes_the_ceiling(
    watermark: int, newest: int | None, ceiling: int | None
) -> None:
    raised = frontier.raised_watermark(
        Millis(watermark),
        newest_ms=None if newest is None else Millis(newest),
        ceiling_ms=None if ceiling is None else Millis(ceiling),
    )

    assert raised >= watermark
    assert raised == watermark or newest is not None
    assert raised == watermark or ceiling is None or raised <= ceiling


@quick
@given(spans, st.none() | spans, spans)
def test_a_delta_walk_asks_from_the_watermark_or_before(
    watermark: int, settled_from: int | None, overlap: int
) -> None:
    proven = Frontier(Millis(watermark), None if settled_from is None else Millis(settled_from))
    after = frontier.delta_after(proven, overlap_ms=overlap)

    assert after <= watermark
    if settled_from is not None:
        assert after < settled_from - overlap, (
            "an instant that may still gain models is asked again"
        )


@quick
@given(spans, st.none() | spans, spans, st.sampled_from(CycleKind), st.none() | spans)
def test_what_a_cycle_proves_is_never_past_what_it_saw(
    now: int, newest: int | None, overlap: int, kind: CycleKind, stored: int | None
) -> None:
    cycle = Cycle(1, "public", kind, "time", "why", Millis(now), None)
    seen = None if newest is None else Millis(newest)
    before = None if stored is None else Millis(stored)
    proven = frontier.prove(before, seen, cycle, overlap_ms=overlap, latest_ms=2**62)

    assert stored is None or proven.watermark_ms >= stored
    if newest is not None and proven.watermark_ms != stored:
        assert proven.watermark_ms <= max(newest, now - overlap)
    assert proven.head_ms == newest
