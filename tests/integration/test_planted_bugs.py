"""
The promise tests can fail: each mechanism is taken out, and its scene must show a difference.

The same scenes, unharmed, are the promise tests; what differs here is one planted bug.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import orders, planted, scenes
from support.commits import commits_cancelled_everywhere

Bug = Callable[[pytest.MonkeyPatch], None]
Scene = Callable[[str], Awaitable[list[str]]]


async def row_leaves_an_updated_tie(url: str) -> list[str]:
    return await scenes.row_leaves_a_tie(url, order="updated", settle=False)


async def short_pages(url: str) -> list[str]:
    return await scenes.faulty_pages(url, "short-pages")


async def late_in_the_backfill(url: str) -> list[str]:
    return await scenes.update_after_its_page(url, late_s=0)


async def joins_without_overlap(url: str) -> list[str]:
    return await scenes.row_joins_the_watermarks_instant(url, overlap_s=0)


async def tie_of_200_created(url: str) -> list[str]:
    return await scenes.tie_by_created(url, models=200, page_size=50)


async def backlog_of_200(url: str) -> list[str]:
    return await scenes.faulty_pages(url)


async def unheard_of_type(url: str) -> list[str]:
    return (await scenes.partitioned(url, "type"))[0]


@pytest.mark.parametrize(
    ("bug", "scene"),
    [
        (planted.no_overlap, scenes.late_publication),
        (planted.no_overlap, scenes.row_joins_the_watermarks_instant),
        (planted.no_overlap, scenes.late_by_exactly_the_overlap),
        (planted.no_step_back, scenes.late_by_exactly_the_overlap),
        (planted.no_step_back, joins_without_overlap),
        (planted.no_overlap_after_backfill, scenes.change_just_before_the_backfill),
        (planted.watermark_from_the_end, late_in_the_backfill),
        (planted.paging_by_token, scenes.rows_leave_behind_the_walk),
        (planted.paging_by_token, scenes.row_leaves_a_tie),
        (planted.stepping_past_the_instant, tie_of_200_created),
        (planted.single_reading, scenes.row_leaves_a_tie),
        (planted.single_reading, row_leaves_an_updated_tie),
        (planted.short_page_is_the_end, short_pages),
        (planted.known_types_only, unheard_of_type),
        (planted.ceiling_in_whole_seconds, backlog_of_200),
    ],
    ids=lambda each: each.__name__,
)
async def test_without_its_mechanism_a_scene_loses_something(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch, bug: Bug, scene: Scene
) -> None:
    """P1: each scene is hard enough for the mechanism that it is there for."""
    bug(monkeypatch)

    left = await scene(migrated_database_url)

    assert [] != left
    assert {each.split()[0] for each in left} <= {"missing", "stale"}


@pytest.mark.parametrize(
    ("bug", "arrivals", "right"),
    [
        (planted.arrival_order, [("b", 0, 8), ("a", 0, 7)], "b"),
        (planted.whoever_comes_is_newer, [("new", 5, 3), ("old", 0, 1)], "new"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_without_its_comparison_the_merge_goes_backwards(
    migrated_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    bug: Bug,
    arrivals: list[orders.Version],
    right: str,
) -> None:
    """P3: order of arrival shows as soon as versions are not compared."""
    bug(monkeypatch)

    assert [right] != await orders.arrivals(migrated_database_url, arrivals)


async def test_without_the_second_look_a_row_goes_backwards_behind_its_lock(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3: what was chosen before the lock may be old by the time the lock is had."""
    planted.no_second_look(monkeypatch)

    assert "newer" != await orders.overtaken_while_waiting(
        migrated_database_url, newer=("newer", 5, 5), older=("older", 3, 9)
    )


async def test_without_the_order_of_requests_a_page_in_flight_undoes_a_removal(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3: the tombstone's own request number is what holds it."""
    planted.any_page_undoes_a_tombstone(monkeypatch)

    assert [(1, "before")] == await orders.after_a_tombstone(
        migrated_database_url, ("before", 9, 9)
    )


@pytest.mark.parametrize(
    "bug", [planted.checkpoint_apart, planted.rows_before_checkpoint], ids=lambda bug: bug.__name__
)
async def test_with_the_checkpoint_in_a_transaction_of_its_own_a_cancellation_shows(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch, bug: Bug
) -> None:
    """P4: two transactions can be torn apart, whichever comes first."""
    bug(monkeypatch)
    broken, _ = await commits_cancelled_everywhere(migrated_database_url, "while")

    assert [] != broken


async def test_without_volatile_paths_a_quiet_source_looks_changed(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: the simulated source re-signs and recomputes enough to be noticed."""
    planted.everything_is_content(monkeypatch)
    tally: Any = await scenes.listed_again_a_week_later(migrated_database_url)

    assert tally.updated > 0


async def test_without_the_search_by_halves_one_value_costs_its_whole_page(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: isolation is what keeps the rest of the page."""
    planted.one_bad_apple(monkeypatch)
    result = await orders.page_with_what_only_postgresql_refuses(migrated_database_url)

    assert 0 == result.inserted
