"""Alerts and dashboard before promtool, which reads PromQL as Prometheus does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from support.eyes import ALERT_TESTS, ALERTS, PROMETHEUS, dashboard_queries

pytestmark = pytest.mark.system

CHANGES = {
    "the standby's word counts": (" and syncer_lease_held == 1", ""),
    "each replica by itself": (
        "sum by (job, namespace, catalog) (syncer_lease_held) > 1",
        "syncer_lease_held > 1",
    ),
    "another metric": ("syncer_removals_waiting and", "syncer_live_models and"),
    "counted before the first scrape": ("unless syncer_models_total", "and syncer_models_total"),
    "a budget for each replica": ("/ min by", "/ sum by"),
}
"""Of alerts.yaml: a text that is there, and what takes its place."""


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it; what it says is in ``stdout`` and ``stderr``."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def said(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stdout + answer.stderr


def test_the_rules_are_rules() -> None:
    answer = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)

    assert answer.returncode == 0, said(answer)


def test_the_sample_configuration_is_one_and_loads_the_rules() -> None:
    answer = promtool("check", "config", PROMETHEUS)

    assert answer.returncode == 0, said(answer)
    assert "alerts.yaml" in said(answer)


def test_alerts_fire_when_they_should_once_and_not_for_the_standby() -> None:
    answer = promtool("test", "rules", *ALERT_TESTS)

    assert answer.returncode == 0, said(answer)


@pytest.mark.parametrize(("mechanism", "instead"), CHANGES.values(), ids=CHANGES)
def test_the_tests_of_the_alerts_can_fail(tmp_path: Path, mechanism: str, instead: str) -> None:
    """A test that no change of the rules fails would show nothing."""
    text = ALERTS.read_text(encoding="utf-8")
    assert mechanism in text
    (tmp_path / ALERTS.name).write_text(text.replace(mechanism, instead), encoding="utf-8")
    for test in ALERT_TESTS:
        (tmp_path / test.name).write_text(test.read_text(encoding="utf-8"), encoding="utf-8")

    answer = promtool("test", "rules", *(tmp_path / test.name for test in ALERT_TESTS))

    assert answer.returncode != 0
    assert "FAILED" in said(answer)


def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    """As rules of a file that is made for it: there is nothing else that promtool parses."""
    queries = dashboard_queries()
    made = [
        {"record": f"dashboard:query:{number}", "expr": query.expression}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": made}]}), "utf-8")

    answer = promtool("check", "rules", path)

    assert answer.returncode == 0, said(answer) + json.dumps(made, indent=1)
    assert f"{len(queries)} rules found" in said(answer)
