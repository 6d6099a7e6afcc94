"""When removals may pass, and what they are told otherwise."""

from __future__ import annotations

import pytest

from syncer.domain import Absences
from syncer.planner.guard import refusal


def absences(absent: int, live: int, *, recent: int = 0, empty: bool = False) -> Absences:
    return Absences(absent, recent, live, is_listing_empty=empty)


@pytest.mark.parametrize(
    ("absent", "recent", "live", "passes"),
    [
        (0, 100, 100, True),
        (5, 0, 5, True),
        (6, 0, 10, False),
        (6, 0, 30, True),
        (7, 0, 30, False),
        (3, 2, 5, True),
        (3, 3, 15, False),
        (20, 0, 100, True),
        (20, 1, 100, False),
    ],
)
def test_removals_wait_above_five_and_above_the_fraction(
    absent: int, recent: int, live: int, passes: bool
) -> None:
    """DESIGN, Guard: above both, with those of the last 24 h."""
    why = refusal(absences(absent, live, recent=recent), max_removed_fraction=0.2)

    assert passes == (why is None)


def test_an_empty_listing_removes_nothing_however_few_there_are() -> None:
    why = refusal(absences(1, 1, empty=True), max_removed_fraction=1)

    assert why == "the source lists no model at all, the mirror holds 1"


@pytest.mark.parametrize(("allowed", "passes"), [(9, False), (10, True), (11, True)])
def test_an_allowance_stands_in_for_the_rule_and_is_a_ceiling(allowed: int, passes: bool) -> None:
    """More than N, and none is removed."""
    why = refusal(absences(10, 10, empty=True), max_removed_fraction=0.2, allowed=allowed)

    assert passes == (why is None)


def test_what_waits_is_told_with_its_numbers() -> None:
    why = refusal(absences(30, 100, recent=4), max_removed_fraction=0.2)

    assert why == (
        "30 of 100 models are gone from the source and 4 went in the last 24 h, which is more "
        "than max_removed_fraction = 0.2 of them"
    )
