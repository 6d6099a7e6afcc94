"""P3, never backwards: neither a row nor a watermark, in whatever order answers arrive."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from support import orders
from support.hand_made import make_batch, make_model
from support.mirror import SourceTime, mirroring, new_source
from support.orders import Version

from syncer.domain import to_millis
from syncer.store.effects import NoEffect

OLD: Version = ("old", 0, 1)
TIED: Version = ("tied", 0, 2)
NEW: Version = ("new", 5, 3)
SILENT: list[Version] = [("a", 0, 7), ("b", 0, 8), ("c", 0, 9)]
"""Edits that left ``updatedAt`` alone."""


async def test_the_later_updated_at_wins_in_every_order_of_arrival(
    migrated_database_url: str,
) -> None:
    """P3: the later ``updatedAt`` wins, never the later arrival."""
    every_order = [*itertools.permutations([OLD, TIED, NEW])]

    assert ["new"] * 6 == await orders.arrivals(migrated_database_url, *every_order)


async def test_at_equal_updated_at_the_later_sent_request_wins_in_every_order_of_arrival(
    migrated_database_url: str,
) -> None:
    """P3: an edit that left no trace in ``updatedAt`` is settled by when it was asked for."""
    every_order = [*itertools.permutations(SILENT)]

    assert ["c"] * 6 == await orders.arrivals(migrated_database_url, *every_order)


async def test_a_model_of_the_very_first_instant_is_kept_current(
    migrated_database_url: str,
) -> None:
    """P1, P3: some writers put year 1 where they have no time; what they change is still taken."""
    first_ms = to_millis(datetime.min.replace(tzinfo=UTC))
    versions = [
        make_batch(make_model("m", updated_ms=first_ms, name=name), sent=sent)
        for sent, name in enumerate(("one", "two", "three"), start=1)
    ]
    async with (
        mirroring(migrated_database_url, new_source(SourceTime())) as mirror,
        mirror.context() as context,
    ):
        results = [await context.pages.commit_page(each, NoEffect()) for each in versions]

        assert [(1, 0), (0, 1), (0, 1)] == [(each.inserted, each.updated) for each in results]
        assert await mirror.value("SELECT name FROM scenario.models") == "three"
        updated_at = await mirror.value("SELECT updated_at FROM scenario.models")
        assert to_millis(updated_at) == first_ms


async def test_a_later_request_does_not_bring_back_an_older_version(
    migrated_database_url: str,
) -> None:
    """P3: a stale replica answers a later request with an older version; it is not taken."""
    assert ["new"] == await orders.arrivals(migrated_database_url, [NEW, ("stale", 0, 9)])


@pytest.mark.parametrize("older", [("older", 3, 9), ("tied, sent earlier", 5, 2)])
async def test_a_version_that_was_overtaken_while_it_waited_for_the_row_is_dropped(
    migrated_database_url: str, older: Version
) -> None:
    """P3: versions are compared again once the row is locked."""
    assert "newer" == await orders.overtaken_while_waiting(
        migrated_database_url, newer=("newer", 5, 5), older=older
    )


async def test_a_model_inserted_by_another_page_meanwhile_goes_round_once_more(
    migrated_database_url: str,
) -> None:
    """P3: two pages with one new model make one row, and the newer version stays."""
    results, rows = await orders.inserted_while_waiting(migrated_database_url)

    assert 1 == rows
    assert [(0, 1)] == [(result.inserted, result.updated) for result in results]


async def test_only_a_request_sent_after_the_removal_brings_a_model_back(
    migrated_database_url: str,
) -> None:
    """P3: a page in flight when the absence was confirmed cannot undo the tombstone."""
    seen = await orders.after_a_tombstone(
        migrated_database_url,
        ("sent before the removal, newer", 9, 9),
        ("first", 0, 10),
        ("first", 0, 11),
        ("sent after it, older", -9, 12),
    )

    assert [(0, None), (0, None), (1, "first"), (1, "sent after it, older")] == seen


async def test_a_watermark_never_decreases_however_the_date_jumps(
    migrated_database_url: str,
) -> None:
    """P3: the source's ``Date`` may go backwards, a watermark may not; and nothing is lost."""
    differences, watermarks = await orders.watermarks_over_a_swaying_date(migrated_database_url)

    assert watermarks == sorted(watermarks)
    assert len(set(watermarks)) > 2
    assert [] == differences
