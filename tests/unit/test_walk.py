"""Walks, page by page: what is asked, what is answered, what is asked next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.builders import page, walk

from syncer.domain import Crossing, Millis, SortKey, Walk
from syncer.errors import WalkBroken
from syncer.planner.walk import (
    MAX_EMPTY_PAGES,
    MAX_READINGS,
    Reading,
    Step,
    advance,
    next_question,
)

if TYPE_CHECKING:
    from syncer.domain import Page


def asked(at: Walk, reading: Reading) -> str:
    """A question as ``after..before`` with its token."""
    question = next_question(at, reading, page_size=2)
    low = "" if question.after_ms is None else question.after_ms
    high = "" if question.before_ms is None else question.before_ms
    return f"{low}..{high}" + (f" {question.token}" if question.token else "")


def play(at: Walk, *pages: Page) -> tuple[list[str], Step]:
    """The questions that the pages answered, then the one that follows (or ``done``)."""
    step, questions = Step(at, Reading()), []
    for each in pages:
        questions.append(asked(step.walk, step.reading))
        step = advance(step.walk, step.reading, each)
    questions.append("done" if step.walk.done else asked(step.walk, step.reading))
    return questions, step


TABLE = {
    "an empty listing is done": (walk(), [page()], ["..", "done"]),
    "a page without a token is the last": (walk(), [page("a@1 b@2")], ["..", "done"]),
    "the next question begins just before the last row, since more rows may share its time": (
        walk(),
        [page("a@1 b@5", more="t1"), page("b@5 c@5")],
        ["..", "4..", "done"],
    ),
    "bounds stay as they are": (
        walk(2, 9),
        [page("a@3 b@5", more="t1"), page("b@5 c@8")],
        ["2..9", "4..9", "done"],
    ),
    "a short page with a token is not the end": (
        walk(),
        [page("a@3", more="t1"), page("a@3 b@4", more="t2"), page("b@4")],
        ["..", "2..", "3..", "done"],
    ),
    "a question that would be repeated follows the token, and the instant is read twice": (
        walk(4),
        [
            page("a@5 b@5", more="t1"),
            page("c@5 d@6", more="t2"),
            page("a@5 b@5", more="u1"),
            page("c@5"),
            page("d@6"),
        ],
        ["4..", "4.. t1", "4..6", "4..6 u1", "5..", "done"],
    ),
    "a crossing that fits one page is proven by that page": (
        walk(4),
        [page("a@5", more="t1"), page("b@6", more="t2"), page("a@5"), page("b@6")],
        ["4..", "4.. t1", "4..6", "5..", "done"],
    ),
    "a crossing whose readings differ is read once more": (
        walk(4),
        [
            page("a@5 b@5", more="t1"),
            page("c@5"),
            page("a@5 c@5", more="u1"),
            page("d@5"),
            page("a@5 c@5", more="v1"),
            page("d@5"),
            page(),
        ],
        ["4..", "4.. t1", "4..6", "4..6 u1", "4..6", "4..6 v1", "5..", "done"],
    ),
    "an empty page is followed by its token, and what comes then is read again": (
        walk(),
        [
            page(more="t1"),
            page("a@5 b@6", more="t2"),
            page("a@5"),
            page("b@6 c@7"),
        ],
        ["..", ".. t1", "..6", "5..", "done"],
    ),
    "an empty page before a crowd leads through the whole crowd": (
        walk(),
        [page(more="t1"), page("a@5 b@5", more="t2"), page("c@5"), page("a@5 b@5 c@5"), page()],
        ["..", ".. t1", ".. t2", "..6", "5..", "done"],
    ),
    "a walk that shows nothing but empty pages is asked twice": (
        walk(4),
        [page(more="t1"), page(), page(more="u1"), page()],
        ["4..", "4.. t1", "4..", "4.. u1", "done"],
    ),
    "an empty span that shows rows the second time is walked after all": (
        walk(4),
        [page(more="t1"), page(), page("a@5 b@6", more="u1"), page("b@6")],
        ["4..", "4.. t1", "4..", "5..", "done"],
    ),
    "rows that a token led to in an empty span are read again before the walk goes on": (
        walk(4),
        [page(more="t1"), page(), page(more="u1"), page("a@5 b@9"), page("a@5"), page("b@9")],
        ["4..", "4.. t1", "4..", "4.. u1", "4..9", "8..", "done"],
    ),
    "rows without a readable time are handed out and do not move the walk": (
        walk(),
        [page("a@3 x@?", more="t1"), page("a@3 x@?")],
        ["..", "2..", "done"],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_walk(name: str) -> None:
    at, pages, expected = TABLE[name]

    assert expected == play(at, *pages)[0]


def test_the_question_carries_key_size_and_filters() -> None:
    at = walk(1, 9, SortKey.UPDATED)
    question = next_question(at, Reading(), page_size=7, type_="custom", tag="Video")

    assert (question.sort_key, question.page_size) == (SortKey.UPDATED, 7)
    assert (question.type, question.tag, question.token) == ("custom", "Video", None)


def test_a_crossing_is_part_of_the_walk_so_that_it_survives_a_crash() -> None:
    """Only the token chain is lost; the span is read again from its start."""
    _, step = play(walk(4), page("a@5 b@5", more="t1"), page("c@5"))

    assert step.walk.crossing is not None
    assert (step.walk.crossing.after_ms, step.walk.crossing.upto_ms) == (4, 5)
    assert asked(step.walk, Reading()) == "4..6"


def test_equal_readings_may_list_their_rows_in_another_order() -> None:
    _, step = play(
        walk(4),
        page("a@5 b@5", more="t1"),
        page("c@5"),
        page("c@5 a@5", more="u1"),
        page("b@5"),
    )

    assert step.walk.crossing is None
    assert step.walk.after_ms == 5


def test_a_reading_that_lists_a_row_twice_is_not_equal_to_one_that_does_not() -> None:
    _, step = play(
        walk(4),
        page("a@5 b@5", more="t1"),
        page("b@5"),
        page("a@5", more="u1"),
        page("b@5"),
    )

    assert step.walk.crossing is not None


# --- what cannot be trusted


def test_an_unsorted_page_breaks_the_walk() -> None:
    with pytest.raises(WalkBroken, match=r"model b with createdAt .*04Z comes after a later one"):
        play(walk(), page("a@5 b@4"))


def test_a_row_that_a_page_lists_twice_is_no_disorder() -> None:
    """What stands between the two is in order, so nothing was skipped; the merge takes one."""
    questions, _ = play(walk(), page("a@3 b@4 a@3", more="t1"))

    assert ["..", "3.."] == questions


def test_a_row_that_is_listed_twice_with_two_times_is_disorder() -> None:
    with pytest.raises(WalkBroken, match=r"model a with createdAt .*03Z comes after a later one"):
        play(walk(), page("a@4 b@5 a@3"))


def test_the_order_is_checked_on_the_walks_own_key() -> None:
    with pytest.raises(WalkBroken, match="model b with updatedAt"):
        play(walk(key=SortKey.UPDATED), page("a@5 b@4"))


def test_a_row_at_the_lower_bound_breaks_the_walk_for_bounds_are_exclusive() -> None:
    with pytest.raises(WalkBroken, match=r"is not after 1970-01-01T00:00:00.004Z as asked"):
        play(walk(4), page("a@4"))


def test_a_row_at_the_upper_bound_breaks_the_walk() -> None:
    with pytest.raises(WalkBroken, match=r"is not before 1970-01-01T00:00:00.009Z as asked"):
        play(walk(4, 9), page("a@9"))


def test_a_row_outside_the_crossing_breaks_its_second_reading() -> None:
    with pytest.raises(WalkBroken, match=r"is not before 1970-01-01T00:00:00.006Z as asked"):
        play(walk(4), page("a@5 b@5", more="t1"), page("c@5"), page("d@6"))


@pytest.mark.parametrize("tokens", [("t1", "t1"), ("t1", "t2", "t1")])
def test_a_repeated_token_breaks_the_walk(tokens: tuple[str, ...]) -> None:
    pages = [page("a@5 b@5", more=token) for token in tokens]

    with pytest.raises(WalkBroken, match="a continuation token that it had already given"):
        play(walk(4), *pages)


def test_the_same_token_for_another_question_is_nothing_special() -> None:
    questions, _ = play(
        walk(), page("a@3", more="same"), page("b@4", more="same"), page("c@5", more="same")
    )

    assert questions == ["..", "2..", "3..", "4.."]


def test_twenty_empty_pages_in_a_row_are_borne_and_one_more_breaks_the_walk() -> None:
    empty = [page(more=f"t{number}") for number in range(MAX_EMPTY_PAGES)]

    questions, _ = play(walk(), *empty)
    assert questions[-1] == f".. t{MAX_EMPTY_PAGES - 1}"
    with pytest.raises(WalkBroken, match="21 pages in a row were empty"):
        play(walk(), *empty, page(more="last"))


def test_rows_between_them_make_empty_pages_harmless() -> None:
    _, step = play(walk(4), *[page(more=f"t{number}") for number in range(20)], page("a@5 b@6"))

    assert step.reading.empty_pages == 0


def unequal(count: int) -> list[Page]:
    """Readings of one crowd, each without the row that left before it."""
    readings = []
    for number in range(count):
        readings += [page(f"r{number}@5 s@5", more=f"t{number}"), page("u@5")]
    return readings


def test_five_unequal_readings_break_the_walk() -> None:
    play(walk(4), *unequal(MAX_READINGS - 1))

    with pytest.raises(
        WalkBroken, match=r"5 readings of the models at 1970.*005Z listed different"
    ):
        play(walk(4), *unequal(MAX_READINGS))


def test_a_walk_that_broke_gets_through_when_the_source_has_come_to_rest() -> None:
    """The next cycle reads the crowd anew; what was counted before must not be held against it."""
    _, step = play(walk(4), *unequal(MAX_READINGS - 1))
    rest = [page("z@5 s@5", more="t1"), page("u@5")]

    questions, later = play(step.walk, *rest, *rest)

    assert questions == ["4..6", "4..6 t1", "4..6", "4..6 t1", "5.."]
    assert later.walk.after_ms == 5


def test_a_span_of_empty_pages_that_never_reads_the_same_says_so_about_the_end() -> None:
    """Cannot happen while empty spans have no ids; the message is for a stored walk that did."""
    at = walk(4, crossing=Crossing(Millis(4), None, readings=1, digest=7))
    reading = Reading(token="t1", unequal=MAX_READINGS - 2)

    with pytest.raises(WalkBroken, match="readings of the models at the end listed different"):
        advance(at, reading, page())


def test_a_broken_walk_leaves_the_walk_that_was_passed_in_valid() -> None:
    at = walk(4)
    with pytest.raises(WalkBroken, match="comes after a later one"):
        advance(at, Reading(), page("a@6 b@5"))

    assert asked(at, Reading()) == "4.."
