"""The status document (DESIGN §3): its keys, its times, and when it says "ready"."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncer import __version__
from syncer.config import CatalogSettings, Settings
from syncer.domain import Privacy
from syncer.status import build_status
from syncer.store.status import CatalogRow, PartitionRow

NOW = datetime(2026, 11, 1, 12, 0, 0, 5_999, tzinfo=UTC)
EARLIER = datetime(2026, 11, 1, 11, 0, tzinfo=UTC)

ROW = CatalogRow(
    catalog="public",
    privacy="public",
    phase="idle",
    watermark=EARLIER,
    head=EARLIER + timedelta(seconds=2),
    lag_s=2.0,
    freshness_s=17.5,
    live_models=709,
    removed_models=3,
    quarantined_models=1,
    removals_waiting=2,
    backfilled_at=EARLIER,
    last_cycle_kind="delta",
    last_cycle_outcome="complete",
    last_cycle_started_at=EARLIER,
    last_cycle_finished_at=EARLIER + timedelta(seconds=1),
    last_error_at=None,
    last_error_message=None,
    last_error_hint=None,
    holder="host:42",
    epoch=7,
    expires_at=NOW + timedelta(seconds=30),
    lease_valid=True,
    moved_s=None,
)
PARTITION = PartitionRow(
    catalog="public",
    partition="everything",
    phase="walking",
    after_at=EARLIER,
    before_at=None,
    newest_at=EARLIER + timedelta(seconds=9),
    models=1000,
    pages=2,
    last_error_at=None,
    last_error_message=None,
    last_error_hint=None,
)
SETTINGS = Settings()


def document(
    *rows: CatalogRow, partitions: tuple[PartitionRow, ...] = (), **more: Any
) -> dict[str, Any]:
    return build_status(more.pop("settings", SETTINGS), rows, partitions, now=NOW, **more)


def catalog(row: CatalogRow = ROW, *partitions: PartitionRow) -> dict[str, Any]:
    (found,) = document(row, partitions=partitions)["catalogs"]
    return dict(found)


def test_the_document_has_the_keys_of_the_contract_and_no_others() -> None:
    failed = replace(
        ROW, last_error_at=EARLIER, last_error_message="it broke", last_error_hint="Mend it."
    )
    told = document(failed, partitions=(PARTITION,))
    (listed,) = told["catalogs"]

    assert [*told] == ["version", "generated_at", "ready", "reasons", "catalogs"]
    assert [*listed] == [
        "name",
        "privacy",
        "phase",
        "watermark",
        "head",
        "lag_s",
        "freshness_s",
        "live_models",
        "removed_models",
        "quarantined_models",
        "removals_waiting",
        "last_cycle",
        "last_error",
        "lease",
        "partitions",
    ]
    assert [*listed["last_cycle"]] == ["kind", "outcome", "started_at", "finished_at"]
    assert [*listed["last_error"]] == ["at", "message", "hint"]
    assert [*listed["lease"]] == ["holder", "epoch", "expires_at"]
    assert [*listed["partitions"][0]] == (
        ["name", "phase", "watermark", "models", "pages", "last_error"]
    )


def test_values_are_those_of_the_database_and_times_are_utc_with_milliseconds() -> None:
    told = document(ROW)

    assert (told["version"], told["generated_at"]) == (__version__, "2026-11-01T12:00:00.005Z")
    assert told["catalogs"] == [
        {
            "name": "public",
            "privacy": "public",
            "phase": "idle",
            "watermark": "2026-11-01T11:00:00.000Z",
            "head": "2026-11-01T11:00:02.000Z",
            "lag_s": 2.0,
            "freshness_s": 17.5,
            "live_models": 709,
            "removed_models": 3,
            "quarantined_models": 1,
            "removals_waiting": 2,
            "last_cycle": {
                "kind": "delta",
                "outcome": "complete",
                "started_at": "2026-11-01T11:00:00.000Z",
                "finished_at": "2026-11-01T11:00:01.000Z",
            },
            "last_error": None,
            "lease": {
                "holder": "host:42",
                "epoch": 7,
                "expires_at": "2026-11-01T12:00:30.005Z",
            },
            "partitions": [],
        }
    ]


def test_the_document_is_plain_json() -> None:
    told = document(ROW, partitions=(PARTITION,))

    assert json.loads(json.dumps(told)) == told


def test_a_catalog_of_which_nothing_is_known_is_listed_all_the_same() -> None:
    (listed,) = document()["catalogs"]

    assert listed == catalog() | {
        "phase": "new",
        "watermark": None,
        "head": None,
        "lag_s": None,
        "freshness_s": None,
        "live_models": 0,
        "removed_models": 0,
        "quarantined_models": 0,
        "removals_waiting": 0,
        "last_cycle": None,
        "lease": {"holder": None, "epoch": None, "expires_at": None},
    }


def test_configured_catalogs_come_first_then_those_gone_from_the_configuration() -> None:
    settings = replace(
        SETTINGS,
        catalogs=(CatalogSettings("zebra", Privacy.PRIVATE), CatalogSettings("public")),
    )
    gone = replace(ROW, catalog="gone", phase="retired")

    told = document(gone, ROW, settings=settings)

    assert [each["name"] for each in told["catalogs"]] == ["zebra", "public", "gone"]
    assert [each["privacy"] for each in told["catalogs"]] == ["private", "public", "public"]


def test_a_catalog_without_a_cycle_has_no_last_one() -> None:
    assert catalog(replace(ROW, last_cycle_kind=None))["last_cycle"] is None


def test_a_lease_that_ran_out_names_nobody() -> None:
    assert catalog(replace(ROW, lease_valid=False))["lease"] == {
        "holder": None,
        "epoch": 7,
        "expires_at": None,
    }


def test_an_error_is_told_with_its_remedy() -> None:
    row = replace(
        ROW, last_error_at=EARLIER, last_error_message="it broke", last_error_hint="Mend it."
    )

    assert catalog(row)["last_error"] == {
        "at": "2026-11-01T11:00:00.000Z",
        "message": "it broke",
        "hint": "Mend it.",
    }


# --- partitions


def test_partitions_stand_under_their_catalog() -> None:
    other = replace(PARTITION, catalog="other")

    assert catalog(ROW, PARTITION, other)["partitions"] == [
        {
            "name": "everything",
            "phase": "walking",
            "watermark": "2026-11-01T11:00:00.000Z",
            "models": 1000,
            "pages": 2,
            "last_error": None,
        }
    ]


@pytest.mark.parametrize(
    ("changes", "watermark"),
    [
        pytest.param({"after_at": None, "phase": "pending"}, None, id="not begun"),
        pytest.param({}, "2026-11-01T11:00:00.000Z", id="as far as it has walked"),
        pytest.param(
            {"phase": "complete", "before_at": NOW},
            "2026-11-01T12:00:00.004Z",
            id="complete to its exclusive end",
        ),
        pytest.param(
            {"phase": "complete"}, "2026-11-01T11:00:09.000Z", id="complete to the newest row"
        ),
        pytest.param({"phase": "complete", "newest_at": None}, None, id="complete and empty"),
    ],
)
def test_the_watermark_of_a_partition(changes: dict[str, Any], watermark: str | None) -> None:
    (part,) = catalog(ROW, replace(PARTITION, **changes))["partitions"]

    assert part["watermark"] == watermark


def test_a_partition_tells_why_it_stopped() -> None:
    stopped = replace(
        PARTITION, last_error_at=EARLIER, last_error_message="unsorted", last_error_hint="Wait."
    )

    (part,) = catalog(ROW, stopped)["partitions"]
    assert part["last_error"]["message"] == "unsorted"


# --- ready


def test_a_fresh_mirror_is_ready() -> None:
    told = document(ROW)

    assert (told["ready"], told["reasons"]) == (True, [])


FILLING = replace(ROW, phase="backfill", backfilled_at=None, freshness_s=None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(
            replace(ROW, freshness_s=300.4),
            "catalog public: freshness is 300 s, the limit is 300 s",
            id="stale",
        ),
        pytest.param(
            replace(ROW, freshness_s=None),
            "catalog public: freshness is unknown, the limit is 300 s",
            id="nobody knows how fresh",
        ),
        pytest.param(
            replace(ROW, phase="blocked", last_error_message="the source refused the credentials"),
            "catalog public: blocked: the source refused the credentials",
            id="blocked, however fresh",
        ),
        pytest.param(
            replace(FILLING, moved_s=600.5),
            "catalog public: the first backfill is not complete and does not move",
            id="stalled backfill",
        ),
        pytest.param(
            FILLING,
            "catalog public: the first backfill is not complete and does not move",
            id="backfill that has not begun",
        ),
    ],
)
def test_not_ready_and_the_reason(row: CatalogRow, reason: str) -> None:
    told = document(row)

    assert (told["ready"], told["reasons"]) == (False, [reason])


def test_an_unknown_catalog_is_not_ready() -> None:
    assert document()["reasons"] == ["catalog public: nothing is mirrored yet"]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(replace(ROW, freshness_s=300.0), id="just fresh enough"),
        pytest.param(replace(FILLING, moved_s=600.0), id="a first backfill that moves"),
        pytest.param(replace(ROW, phase="sweep", freshness_s=10.0), id="whatever else it does"),
    ],
)
def test_ready(row: CatalogRow) -> None:
    assert document(row)["ready"]


def test_the_limit_is_the_catalogs_own() -> None:
    settings = replace(SETTINGS, catalogs=(CatalogSettings(freshness_limit_s=10),))

    assert document(ROW, settings=settings)["reasons"] == [
        "catalog public: freshness is 18 s, the limit is 10 s"
    ]


def test_every_catalog_has_its_say() -> None:
    settings = replace(SETTINGS, catalogs=(CatalogSettings("one"), CatalogSettings("two")))

    assert document(settings=settings)["reasons"] == [
        "catalog one: nothing is mirrored yet",
        "catalog two: nothing is mirrored yet",
    ]


def test_what_is_wrong_elsewhere_comes_first() -> None:
    told = document(ROW, problems=["the database is at migration 0004"])

    assert (told["ready"], told["reasons"]) == (False, ["the database is at migration 0004"])


def test_a_retired_catalog_never_speaks_against_being_ready() -> None:
    gone = replace(ROW, catalog="gone", phase="retired", freshness_s=None)

    assert document(ROW, gone)["ready"]


@pytest.mark.parametrize(
    ("live_models", "own_limit_s", "ready"),
    [(499, 0.0, False), (500, 0.0, True), (500, 300.0, False)],
    ids=["swept by each poll", "swept by schedule", "as the operator says"],
)
def test_a_private_listing_of_several_pages_is_as_fresh_as_its_sweeps(
    live_models: int, own_limit_s: float, ready: bool
) -> None:
    """Between two sweeps nothing refreshes it, and that is how it is meant to be."""
    mine = CatalogSettings(privacy=Privacy.PRIVATE, freshness_limit_s=own_limit_s)
    quiet = replace(ROW, removals_waiting=0)
    row = replace(quiet, privacy="private", live_models=live_models, freshness_s=4000.0)
    found = document(row, settings=Settings(catalogs=(mine,)))

    assert found["ready"] == ready


@pytest.mark.parametrize(("waiting", "ready"), [(0, False), (7, True)])
def test_while_removals_wait_a_listing_of_one_page_is_as_fresh_as_its_sweeps(
    waiting: int, ready: bool
) -> None:
    """Its polls compare nothing more until somebody decides, or the next sweep is due."""
    mine = CatalogSettings(privacy=Privacy.PRIVATE)
    row = replace(
        ROW, privacy="private", live_models=9, removals_waiting=waiting, freshness_s=4000.0
    )
    found = document(row, settings=Settings(catalogs=(mine,)))

    assert found["ready"] == ready
