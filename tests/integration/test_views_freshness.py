"""Before anybody trusts a number, ``scenario.freshness`` says what there is to know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.analysts import analyst, register

from syncer.clock import SystemClock

NOW = SystemClock().now().replace(microsecond=0)
"""Ages are told by the database's clock, which is this machine's."""

WELL = {
    "backfilled_at": "2026-01-02T03:00:00Z",
    "watermark": "2026-01-02T02:00:00Z",
    "last_complete_at": NOW.isoformat(),
    "swept_at": (NOW - timedelta(hours=1)).isoformat(),
    "verified_at": "2026-01-02T03:40:00Z",
    "verify_differences": 0,
}
OLD = "2026-01-02T04:05:00Z"


async def read(url: str, *, quarantined: int = 0, **columns: Any) -> dict[str, Any]:
    async with analyst(url) as connection:
        await register(connection, "public", **columns)
        await connection.execute(
            "INSERT INTO syncer.quarantine (catalog, key, reason, raw, raw_hash, dismissed)"
            " SELECT 'public', n::text, 'r', '', '', n = 0 FROM generate_series(0, $1::int) AS n",
            quarantined,
        )
        row = await connection.fetchrow(
            "SELECT *, abs(extract(epoch FROM clock_timestamp() - as_of - age)) < 10 AS is_aged"
            " FROM scenario.freshness"
        )
    assert row is not None
    return dict(row)


async def test_a_complete_catalog_has_no_caveat(migrated_database_url: str) -> None:
    row = await read(migrated_database_url, **WELL)

    assert row["caveats"] == []
    assert row["is_complete"]
    assert row["is_aged"]
    assert (row["as_of"], row["compared_at"]) == (NOW, NOW - timedelta(hours=1))
    assert (row["privacy"], row["quarantined_models"], row["verify_differences"]) == (
        "public",
        0,
        0,
    )


async def test_before_the_first_backfill_models_are_missing(migrated_database_url: str) -> None:
    row = await read(migrated_database_url)

    assert row["caveats"] == ["the first backfill is not complete: models are missing"]
    assert not row["is_complete"]
    assert (row["as_of"], row["age"], row["compared_at"]) == (None, None, None)


@pytest.mark.parametrize(
    ("columns", "caveat"),
    [
        ({"blocked": True}, "the last cycle ended with an error"),
        ({"removals_waiting": 3}, "3 removals wait for an operator"),
        ({"quarantined": 2}, "2 models could not be stored"),
        ({"verify_differences": 4}, "4 models differed from the source"),
        ({"last_complete_at": OLD}, "nothing newer is known since 2026-01-02 04:05 UTC"),
        ({"swept_at": OLD}, "removals and silent edits were not looked for since 2026-01-02 04:05"),
    ],
)
async def test_each_thing_that_is_not_well_is_a_sentence(
    migrated_database_url: str, columns: dict[str, Any], caveat: str
) -> None:
    row = await read(migrated_database_url, **(WELL | columns))

    (said,) = row["caveats"]
    assert said.startswith(caveat)


async def test_an_overdue_sweep_has_no_time(migrated_database_url: str) -> None:
    row = await read(migrated_database_url, **(WELL | {"swept_at": "-infinity"}))

    assert row["compared_at"] is None


async def test_a_lag_of_which_nothing_is_known_is_not_none(migrated_database_url: str) -> None:
    """P8: 0 s would say that all is here."""
    async with analyst(migrated_database_url) as connection:
        await register(connection, "new", "known")
        await connection.execute(
            "UPDATE syncer.catalog SET head = '2026-01-01 00:00:09Z', watermark = '2026-01-01Z'"
            " WHERE catalog = 'known'"
        )
        lags = await connection.fetch(
            "SELECT catalog, lag_s FROM scenario.sync_status ORDER BY catalog"
        )

    assert [tuple(row) for row in lags] == [("known", 9.0), ("new", None)]
