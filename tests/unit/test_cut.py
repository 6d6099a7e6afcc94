"""Cutting what remains of a walk, so that idle workers can help."""

from __future__ import annotations

from support.builders import walk

from syncer.domain import Crossing, Millis, Walk
from syncer.planner.cut import Density, cut, expected_pages, remaining_span, useful_parts

HORIZON = Millis(109)


def bounds(*walks: Walk) -> list[tuple[int | None, int | None]]:
    return [(each.after_ms, each.before_ms) for each in walks]


def test_parts_are_of_equal_span_and_meet_without_gap_or_overlap() -> None:
    """Bounds are exclusive: the instant 34 is the first part's last, 35 the second's first."""
    parts = cut(walk(9, 110), horizon_ms=HORIZON, parts=4)

    assert [(9, 35), (34, 60), (59, 85), (84, 110)] == bounds(*parts)


def test_a_walk_to_the_end_of_the_listing_is_cut_at_the_horizon_and_keeps_its_open_end() -> None:
    parts = cut(walk(9), horizon_ms=HORIZON, parts=2)

    assert [(9, 60), (59, None)] == bounds(*parts)


def test_a_walk_that_ends_before_the_horizon_is_cut_within_its_bounds() -> None:
    parts = cut(walk(9, 30), horizon_ms=HORIZON, parts=2)

    assert [(9, 20), (19, 30)] == bounds(*parts)


def test_what_cannot_be_cut_comes_back_alone() -> None:
    crossing = Crossing(Millis(9), Millis(10), readings=1, digest=0)
    for whole in (
        walk(None),  # nobody knows where it begins
        walk(9, done=True),
        walk(9, crossing=crossing),
        walk(106),  # too little remains
        walk(200),  # beyond the horizon
    ):
        assert (whole,) == cut(whole, horizon_ms=HORIZON, parts=2)


def test_one_part_is_the_whole() -> None:
    assert (walk(9),) == cut(walk(9), horizon_ms=HORIZON, parts=1)


def test_the_remaining_span_counts_the_instants_still_to_be_walked() -> None:
    assert remaining_span(walk(9), HORIZON) == 100
    assert remaining_span(walk(9, 20), HORIZON) == 10
    assert remaining_span(walk(9, 500), HORIZON) == 100
    assert remaining_span(walk(), HORIZON) == 0
    assert remaining_span(walk(200), HORIZON) == 0


def test_the_expected_pages_follow_from_the_density_seen_so_far() -> None:
    """30 models in 10 ms: 100 ms more hold 300, which are 6 pages of 50."""
    density = Density(Millis(0), Millis(10), 30)

    assert expected_pages(walk(9), density, horizon_ms=HORIZON, page_size=50) == 6.0


def test_the_density_of_a_single_instant_is_taken_over_one_millisecond() -> None:
    assert Density(Millis(5), Millis(5), 30).expected_models(2) == 60


def test_everybody_who_is_idle_helps_if_each_part_is_worth_two_pages() -> None:
    assert useful_parts(pages=100, idle_workers=3, walked=9) == 4
    assert useful_parts(pages=5, idle_workers=3, walked=9) == 2
    assert useful_parts(pages=3.9, idle_workers=3, walked=9) == 1
    assert useful_parts(pages=0, idle_workers=3, walked=9) == 1
    assert useful_parts(pages=100, idle_workers=0, walked=9) == 1


def test_a_walk_is_not_cut_into_more_parts_than_the_pages_it_has_walked() -> None:
    """A burst promises far more than follows it; each part that is empty costs a request."""
    assert useful_parts(pages=10_000, idle_workers=3, walked=1) == 1
    assert useful_parts(pages=10_000, idle_workers=3, walked=2) == 2
    assert useful_parts(pages=10_000, idle_workers=3, walked=4) == 4


def test_a_walk_that_has_not_begun_stays_whole() -> None:
    assert useful_parts(pages=100, idle_workers=3, walked=0) == 1
