"""Alerts and dashboard ask for what ``/metrics`` says, and lead to what is to be done."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from support.eyes import (
    ALERT_TESTS,
    PROMETHEUS,
    Query,
    alerts,
    dashboard,
    dashboard_queries,
    panels,
    recorded,
    rule_queries,
)
from support.promql import selectors, unknown_names
from support.scrape import labels_by_metric, scrape_by_design

QUERIES = [*rule_queries(), *dashboard_queries()]
OF_PROMETHEUS = {"up": frozenset(), "ALERTS": frozenset({"alertname", "alertstate", "catalog"})}
"""Metrics that it makes itself."""

DESIGNED = {
    "syncer_requests_total": {"catalog", "outcome"},
    "syncer_request_duration_seconds_bucket": {"le"},
    "syncer_throttled_seconds_total": set(),
    "syncer_pages_total": {"catalog"},
    "syncer_models_total": {"catalog", "outcome"},
    "syncer_commit_duration_seconds_bucket": {"le"},
    "syncer_watermark_timestamp_seconds": {"catalog"},
    "syncer_lag_seconds": {"catalog"},
    "syncer_freshness_seconds": {"catalog"},
    "syncer_live_models": {"catalog"},
    "syncer_removals_waiting": {"catalog"},
    "syncer_cycles_total": {"catalog", "kind", "outcome"},
    "syncer_lease_held": {"catalog"},
    "syncer_build_info": {"version"},
    "syncer_quarantined_models": {"catalog"},
    "syncer_freshness_limit_seconds": {"catalog"},
    "syncer_budget_requests_per_minute": set(),
    "syncer_budget_wait_seconds": set(),
    "syncer_event_loop_lag_seconds": set(),
    "syncer_stalled": {"catalog"},
    "syncer_deleted_feed_age_seconds": {"catalog"},
    "syncer_verify_differences": {"catalog"},
    "syncer_verified_timestamp_seconds": {"catalog"},
}
"""DESIGN §6, and what alerts need beyond it."""


@pytest.fixture(name="known", scope="module")
def known_fixture() -> dict[str, frozenset[str]]:
    """Every metric that there is, with its labels."""
    known = labels_by_metric(scrape_by_design())
    return known | OF_PROMETHEUS | dict.fromkeys(recorded(), frozenset({"catalog"}))


def test_a_scrape_says_what_the_design_promises(known: dict[str, frozenset[str]]) -> None:
    assert DESIGNED == {name: set(known.get(name, {"absent"})) for name in DESIGNED}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.place)
def test_what_a_query_asks_for_exists(query: Query, known: dict[str, frozenset[str]]) -> None:
    """A metric that nobody says is a panel that stays empty, or an alert that never comes."""
    assert [] == unknown_names(query.expression, known)


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ('rate(syncer_models_total{outcome="missed"}[5m])', []),
        ("syncer_lag_ms > 1", ["syncer_lag_ms"]),
        ('syncer_lag_seconds{partition="x"}', ["syncer_lag_seconds{partition}"]),
        ('sum by (job, kind) (syncer_lag_seconds{job="syncer"})', ["by (kind)"]),
        ("sum without (version) (syncer_lag_seconds)", ["by (version)"]),
        ('syncer_lag_seconds{catalog="syncer_nothing"}', []),
        ("catalog:syncer_lag_seconds:max", ["catalog:syncer_lag_seconds:max"]),
    ],
)
def test_a_name_that_nobody_says_is_found(expression: str, wrong: list[str]) -> None:
    assert wrong == unknown_names(expression, labels_by_metric(scrape_by_design()))


def test_every_metric_is_looked_at_by_somebody(known: dict[str, frozenset[str]]) -> None:
    """One that no alert and no panel shows is there for nothing."""
    asked = {each.metric for query in QUERIES for each in selectors(query.expression)}

    assert [] == sorted(name for name in DESIGNED if name not in asked)


def test_every_outcome_that_is_asked_for_is_one() -> None:
    """A value that never comes is as empty as a metric that is not there."""
    outcomes = {
        value
        for query in QUERIES
        for value in re.findall(r'outcome[!=~]+"([^"]+)"', query.expression)
    }

    assert {"missed", "refused", "unchanged"} == outcomes


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_is_about_how_bad_and_what_to_read(name: str) -> None:
    rule = alerts()[name]
    notes = rule["annotations"]

    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert "for" in rule
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"deploy/README.md#{name.lower()}"
    assert notes["description"].endswith(".")
    assert ("$labels.catalog" in notes["summary"]) == ("catalog" in rule["expr"])


@pytest.mark.parametrize("name", alerts())
def test_every_alert_is_seen_firing_by_a_test(name: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in ALERT_TESTS)

    severity = alerts()[name]["labels"]["severity"]
    assert f'alertname="{name}", severity="{severity}"' in text


def test_prometheus_asks_the_job_that_the_rules_are_about() -> None:
    assert "job_name: syncer\n" in PROMETHEUS.read_text(encoding="utf-8")


def test_the_dashboard_is_tied_to_no_data_source_of_its_author() -> None:
    """And to no installation or catalog of his: all are variables."""
    names = [variable["name"] for variable in dashboard()["templating"]["list"]]
    sources = {panel["datasource"]["uid"] for panel in panels()}
    sources |= {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}

    assert ["datasource", "job", "namespace", "catalog"] == names
    assert {"${datasource}"} == sources
    assert "id" not in dashboard()


def test_the_dashboard_answers_four_questions() -> None:
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]

    assert ["Is it right?", "Is it fresh?", "Is it polite?", "Is it well?"] == rows


def test_every_panel_says_what_it_shows() -> None:
    assert [] == [panel["title"] for panel in panels() if not panel["description"].endswith(".")]


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    boxes = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y)
        for box in boxes
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]
    numbers = [panel["id"] for panel in dashboard()["panels"]]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(left < right for left, right in pairwise(numbers))


@pytest.mark.parametrize("variable", ["$job", "$namespace"])
def test_queries_of_the_dashboard_go_by_its_variables(variable: str) -> None:
    """Two databases in one Prometheus are two jobs, or two namespaces; never one line."""
    loose = [
        target["expr"]
        for panel in panels()
        for target in panel["targets"]
        if target["expr"].count(variable) != len(list(selectors(target["expr"])))
    ]

    assert [] == loose
