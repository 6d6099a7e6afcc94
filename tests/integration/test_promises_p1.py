"""P1, nothing lost: whatever the source does while it is read, the mirror ends equal to it."""

from __future__ import annotations

import pytest
from support import scenes
from support.hand_made import make_model, make_page

from syncer.domain import Crossing, SortKey, Walk
from syncer.planner.walk import Reading, advance


@pytest.mark.parametrize("page_size", [500, 100])
async def test_1200_models_updated_on_one_millisecond_are_all_mirrored(
    migrated_database_url: str, page_size: int
) -> None:
    """P1: a tie in ``updatedAt`` larger than a page loses no row, nor one that joins it late."""
    assert [] == await scenes.tie_by_updated(migrated_database_url, page_size=page_size)


@pytest.mark.parametrize("page_size", [500, 100])
async def test_1200_models_created_on_one_millisecond_are_all_mirrored(
    migrated_database_url: str, page_size: int
) -> None:
    """P1: a tie in ``createdAt`` larger than a page loses no row in a backfill."""
    assert [] == await scenes.tie_by_created(migrated_database_url, page_size=page_size)


@pytest.mark.parametrize("by", ["remove", "update"])
@pytest.mark.parametrize("order", ["created", "updated"])
async def test_a_row_hidden_by_a_shift_within_a_tie_is_found_by_the_second_reading(
    migrated_database_url: str, order: str, by: str
) -> None:
    """P1: rows that a token chain has passed leave; what shifts past the offset is found."""
    assert [] == await scenes.row_leaves_a_tie(migrated_database_url, order=order, by=by)


async def test_rows_that_vanish_behind_a_walk_hide_none_ahead_of_it(
    migrated_database_url: str,
) -> None:
    """P1: pages are stepped by key, so a listing that shifts under its offsets loses nothing."""
    assert [] == await scenes.rows_leave_behind_the_walk(migrated_database_url)


@pytest.mark.parametrize("order", ["created", "updated"])
@pytest.mark.parametrize("seed", range(4))
async def test_edits_during_a_walk_lose_nothing(
    migrated_database_url: str, seed: int, order: str
) -> None:
    """P1: models updated, added and removed between pages; equal once the source is quiet."""
    assert [] == await scenes.edits_while_walking(migrated_database_url, seed=seed, order=order)


@pytest.mark.parametrize("late_s", [1, 150, 299.999])
async def test_a_change_that_shows_late_within_the_overlap_is_found(
    migrated_database_url: str, late_s: float
) -> None:
    """P1: a row published after newer ones is found as long as it is late by the overlap only."""
    poll_every_s = 0.5 if late_s == 1 else 20
    assert [] == await scenes.late_publication(
        migrated_database_url, late_s=late_s, poll_every_s=poll_every_s
    )


async def test_a_change_that_shows_exactly_at_the_settle_boundary_is_found(
    migrated_database_url: str,
) -> None:
    """P1: the instant that settles with this poll can still gain a row, so it is asked again."""
    assert [] == await scenes.late_by_exactly_the_overlap(migrated_database_url)


@pytest.mark.parametrize("overlap_s", [300, 0])
async def test_a_row_that_joins_the_watermarks_own_instant_is_found(
    migrated_database_url: str, overlap_s: int
) -> None:
    """P1: bounds are exclusive, so the walk steps back where rows may share the watermark."""
    assert [] == await scenes.row_joins_the_watermarks_instant(
        migrated_database_url, overlap_s=overlap_s
    )


@pytest.mark.parametrize("late_s", [0, 280])
async def test_a_model_updated_during_the_backfill_is_found_by_the_first_delta(
    migrated_database_url: str, late_s: float
) -> None:
    """P1: the watermark starts where the backfill began, less the overlap: no gap."""
    assert [] == await scenes.update_after_its_page(migrated_database_url, late_s=late_s)


async def test_a_change_that_shows_only_after_the_backfill_is_found(
    migrated_database_url: str,
) -> None:
    """P1: the first delta reaches back by the overlap before the backfill's first page."""
    assert [] == await scenes.change_just_before_the_backfill(migrated_database_url)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_backlog_is_read_in_windows_while_the_source_goes_on_changing(
    migrated_database_url: str, seed: int
) -> None:
    """P1: a row leaves a window only forwards, past the ceiling, where the next cycle finds it."""
    assert [] == await scenes.backlog_while_it_moves(migrated_database_url, seed=seed)


async def test_a_restart_in_the_middle_of_a_fan_out_keeps_its_source_time(
    migrated_database_url: str,
) -> None:
    """P1: ceiling and ``source_now`` are stored with the cycle; a restart finishes that cycle."""
    differences, facts = await scenes.backlog_is_interrupted(migrated_database_url)

    assert [] == differences
    began, ended, proven = facts
    assert began == ended
    assert began["source_now"] == proven["settled_from"]
    assert proven["watermark"] <= began["ceiling"]


@pytest.mark.parametrize(
    "faults",
    [
        ["short-pages"],
        ["empty-page-with-token:7"],
        ["empty-page-with-token"],
        ["empty-string-end-token"],
        ["null-end-token"],
        ["short-pages", "empty-page-with-token:9", "empty-string-end-token"],
        ["no-date-header"],
    ],
    ids=" ".join,
)
async def test_pages_of_odd_length_and_end_lose_nothing(
    migrated_database_url: str, faults: list[str]
) -> None:
    """P1: a short page is not the end, an empty one neither; only a missing token is."""
    assert [] == await scenes.faulty_pages(migrated_database_url, *faults)


async def test_an_empty_page_before_each_answer_costs_a_few_requests_a_page(
    migrated_database_url: str,
) -> None:
    """P1, P6: what a token leads to is read twice, a page at a time and not a model at a time."""
    assert await scenes.requests_behind_empty_pages(migrated_database_url, pages=5) <= 5 * 6


def test_rows_that_a_token_leads_to_are_read_twice_wherever_the_token_came_from() -> None:
    """P1: the end of a listing is read again, and behind an empty page there are rows after all."""
    nothing_seen = Walk(SortKey.CREATED, crossing=Crossing(None, None, readings=1, digest=0))
    page = make_page(make_model("a"), make_model("b"))
    step = advance(nothing_seen, Reading(token="after an empty page"), page)

    assert not step.walk.done
    assert step.walk.crossing is not None
    assert step.walk.after_ms is None


@pytest.mark.parametrize("partition_by", ["auto", "time", "type", "tag"])
async def test_a_type_that_nobody_has_listed_is_mirrored_however_the_catalog_is_cut(
    migrated_database_url: str, partition_by: str
) -> None:
    """P1: type and tag filters lag behind; the unfiltered walk proves the rest."""
    differences, _, done = await scenes.partitioned(migrated_database_url, partition_by)

    assert [] == differences
    assert done.complete


async def test_partitions_that_carry_the_same_models_at_once_store_each_exactly_once(
    migrated_database_url: str,
) -> None:
    """P1: whoever inserts a model first, the others find it; the counts add up to the rows."""
    differences, inserted, pages = await scenes.same_models_at_once(migrated_database_url)

    assert [] == differences
    assert 300 == inserted
    assert pages >= 18


async def test_a_row_that_leaves_an_updated_tie_hides_no_other_from_that_very_walk(
    migrated_database_url: str,
) -> None:
    """P1: the walk itself proves the instant; no later cycle has to make up for it."""
    left = await scenes.row_leaves_a_tie(migrated_database_url, order="updated", settle=False)

    assert [] == left
