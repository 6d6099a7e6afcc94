"""What a sweep's page proves, and what is asked a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.builders import page

from syncer.domain import Blind, Crossing, Millis, SortKey, Unusable, Walk
from syncer.planner.sweeping import (
    confirming_walks,
    plan_sweep,
    plan_sweep_poll,
    seen_on,
    walk_requests,
)

WALK = Walk(SortKey.CREATED, Millis(10), Millis(100))


def nameless(at_ms: int | None) -> Unusable:
    created = None if at_ms is None else Millis(at_ms)
    return Unusable("sha256:1", "no id", b"{}", created_ms=created, has_id=False)


def test_every_listed_record_is_seen() -> None:
    assert seen_on(WALK, page("a@20 b@30")).ids == ("a", "b")
    assert seen_on(WALK, page("a@20 b@30")).blind is None
    assert seen_on(WALK, page("")).ids == ()


@pytest.mark.parametrize(
    ("at_ms", "last", "before_ms"),
    [(25, "b@30", 31), (None, "b@30", 31), (40, "", 41), (None, "", 100)],
)
def test_a_record_without_an_id_blinds_the_range_of_its_page(
    at_ms: int | None, last: str, before_ms: int
) -> None:
    """DESIGN, Sweeping: it may be any model there; at the page's end it may be created later."""
    shown = page(f"a@20 {last}")
    first, *rest = shown.entries
    seen = seen_on(WALK, replace(shown, entries=(first, nameless(at_ms), *rest)))

    assert seen.blind == Blind(Millis(10), Millis(before_ms))


def test_a_span_that_is_read_again_is_blind_from_its_own_beginning() -> None:
    crossing = Crossing(Millis(5), Millis(50), readings=1, digest=0)
    shown = replace(page("a@20"), entries=(nameless(20),))

    assert seen_on(replace(WALK, crossing=crossing), shown).blind == Blind(Millis(5), Millis(21))


def windows(*instants: int, whole: int) -> list[tuple[int | None, int | None]]:
    walks = confirming_walks(map(Millis, instants), whole_requests=whole)
    return [(walk.after_ms, walk.before_ms) for walk in walks]


def test_each_instant_is_asked_alone_and_neighbours_share_a_window() -> None:
    assert windows(20, 40, whole=9) == [(19, 21), (39, 41)]
    assert windows(21, 20, 20, whole=9) == [(19, 22)]
    assert windows(20, 22, whole=9) == [(19, 21), (21, 23)]
    assert windows(whole=9) == []


def test_where_windows_cost_more_than_the_walk_the_walk_is_repeated() -> None:
    """Also where they are neighbours: the list of instants may have been cut short."""
    assert windows(20, 40, 60, whole=2) == [(None, None)]
    assert windows(20, 21, 22, whole=2) == [(None, None)]


@pytest.mark.parametrize(
    ("models", "page_size", "requests"),
    [(0, 500, 1), (499, 500, 1), (500, 500, 2), (3, 1, 3)],
)
def test_a_walk_costs_a_request_for_each_page_less_the_row_that_repeats(
    models: int, page_size: int, requests: int
) -> None:
    assert walk_requests(models, page_size) == requests
    assert plan_sweep("why", models=models, page_size=page_size).estimated_requests == requests


def test_a_listing_that_fits_one_page_is_swept_by_one_question() -> None:
    plan = plan_sweep_poll()

    assert (plan.estimated_requests, plan.partitions[0].walk) == (1, Walk(SortKey.CREATED))
