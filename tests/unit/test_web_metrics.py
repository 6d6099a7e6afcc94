"""The names and labels of the metrics, and that nothing unknown is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY
from support.web import Scrape

from syncer import __version__
from syncer.api.observer import OUTCOMES
from syncer.store.merging import CommitResult
from syncer.web.metrics import MODEL_OUTCOMES, Budget, Metrics, Verified

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOG: dict[str, Any] = {
    "name": "public",
    "phase": "idle",
    "watermark": "2026-11-01T12:00:00.500Z",
    "lag_s": 2.5,
    "freshness_s": 17.5,
    "live_models": 709,
    "quarantined_models": 1,
    "removals_waiting": 2,
}


@dataclass
class Known:
    document: Mapping[str, Any] | None = None
    document_age_s: float = 0.0
    freshness_limits_s: Mapping[str, float] = field(default_factory=dict)
    feed_ages_s: Mapping[str, float] = field(default_factory=dict)
    verified: Mapping[str, Verified] = field(default_factory=dict)
    held: Mapping[str, bool] = field(default_factory=dict)
    stalled: Mapping[str, bool] = field(default_factory=dict)
    budget: Budget | None = None
    loop_lag_s: float = 0.0


def scraped(metrics: Metrics) -> Scrape:
    return Scrape(metrics.exposition().decode())


def shown(known: Known) -> Scrape:
    metrics = Metrics()
    metrics.show(known)
    return scraped(metrics)


def test_the_counters_of_a_catalog_are_there_from_0_on() -> None:
    metrics = Metrics()
    metrics.expect(["public"])
    found = scraped(metrics)

    for outcome in ("ok", *(name for _, name in OUTCOMES)):
        assert 0 == found.value("syncer_requests_total", catalog="public", outcome=outcome)
    for outcome in MODEL_OUTCOMES:
        assert 0 == found.value("syncer_models_total", catalog="public", outcome=outcome)
    for kind in ("backfill", "delta", "sweep"):
        for outcome in ("complete", "failed", "stopped"):
            labels = {"catalog": "public", "kind": kind, "outcome": outcome}
            assert 0 == found.value("syncer_cycles_total", **labels)
    assert 0 == found.value("syncer_pages_total", catalog="public")
    assert 0 == found.value("syncer_throttled_seconds_total")


def test_a_page_is_counted_by_what_became_of_its_models() -> None:
    metrics = Metrics()
    result = CommitResult(
        inserted=1,
        updated=2,
        restored=3,
        unchanged=4,
        stale=5,
        quarantined=6,
        rewound=7,
        missed_ids=tuple("12345678"),
        unannounced=9,
    )
    metrics.count_page("public", result, 0.25)
    metrics.count_removed("public", 10)
    found = scraped(metrics)

    expected = {
        "inserted": 1,
        "updated": 2,
        "restored": 3,
        "unchanged": 4,
        "stale": 5,
        "quarantined": 6,
        "rewound": 7,
        "missed": 8,
        "unannounced": 9,
        "removed": 10,
    }
    assert set(MODEL_OUTCOMES) == set(expected)
    assert expected == {
        outcome: found.value("syncer_models_total", catalog="public", outcome=outcome)
        for outcome in expected
    }
    assert 1 == found.value("syncer_commit_duration_seconds_count")
    assert 0.25 == found.value("syncer_commit_duration_seconds_sum")


def test_pauses_add_up_over_limiters() -> None:
    """A reload makes a new limiter, which counts from 0."""
    metrics = Metrics()
    for throttled_s in (3.0, 3.0, 5.0, None, 2.0):
        metrics.note_throttled(throttled_s)

    assert 7 == scraped(metrics).value("syncer_throttled_seconds_total")


def test_the_gauges_are_those_of_the_status_document() -> None:
    budget = Budget(requests_per_minute=45, requests_in_window=7, wait_s=1.5, throttled_s=0.0)
    found = shown(
        Known(
            document={"catalogs": [CATALOG]},
            freshness_limits_s={"public": 300.0},
            feed_ages_s={"mine": 60.0},
            verified={"public": Verified(1793534400.0, 3)},
            held={"public": True},
            stalled={"public": False},
            budget=budget,
            loop_lag_s=0.125,
        )
    )

    assert 709 == found.value("syncer_live_models", catalog="public")
    assert 1 == found.value("syncer_quarantined_models", catalog="public")
    assert 2 == found.value("syncer_removals_waiting", catalog="public")
    assert 2.5 == found.value("syncer_lag_seconds", catalog="public")
    assert 17.5 == found.value("syncer_freshness_seconds", catalog="public")
    assert 300 == found.value("syncer_freshness_limit_seconds", catalog="public")
    assert 1793534400.5 == found.value("syncer_watermark_timestamp_seconds", catalog="public")
    assert 60 == found.value("syncer_deleted_feed_age_seconds", catalog="mine")
    assert 1793534400 == found.value("syncer_verified_timestamp_seconds", catalog="public")
    assert 3 == found.value("syncer_verify_differences", catalog="public")
    assert 1 == found.value("syncer_lease_held", catalog="public")
    assert 0 == found.value("syncer_stalled", catalog="public")
    assert 45 == found.value("syncer_budget_requests_per_minute")
    assert 1.5 == found.value("syncer_budget_wait_seconds")
    assert 0.125 == found.value("syncer_event_loop_lag_seconds")
    assert 1 == found.value("syncer_build_info", version=__version__)


def test_what_grows_by_itself_grows_while_nobody_can_look() -> None:
    """P8: an alert on freshness must fire while the database is away."""
    found = shown(
        Known(document={"catalogs": [CATALOG]}, document_age_s=100.0, feed_ages_s={"mine": 60.0})
    )

    assert 117.5 == found.value("syncer_freshness_seconds", catalog="public")
    assert 160 == found.value("syncer_deleted_feed_age_seconds", catalog="mine")
    assert 2.5 == found.value("syncer_lag_seconds", catalog="public")


def test_what_is_unknown_is_left_out() -> None:
    unknown = CATALOG | {"watermark": None, "lag_s": None, "freshness_s": None}
    found = shown(Known(document={"catalogs": [unknown]}))

    assert 709 == found.value("syncer_live_models", catalog="public")
    for name in ("watermark_timestamp_seconds", "lag_seconds", "freshness_seconds"):
        assert set() == found.labels(f"syncer_{name}")
    assert set() == found.labels("syncer_budget_wait_seconds")
    assert set() == shown(Known()).labels("syncer_live_models")


def test_a_retired_catalog_is_not_among_the_live() -> None:
    found = shown(Known(document={"catalogs": [CATALOG | {"phase": "retired"}]}))

    assert set() == found.labels("syncer_live_models")


def test_there_are_no_birthdays_and_nothing_is_registered_for_everybody() -> None:
    metrics = Metrics()
    metrics.count_request("public", "ok", 0.1)

    assert "_created" not in metrics.exposition().decode()
    assert "syncer" not in "".join(metric.name for metric in REGISTRY.collect())
