"""
What Prometheus and Grafana are given: alerts, recording rules, the dashboard's panels.

Owns reading deploy/prometheus and deploy/grafana. Never judges.
Kind: edge (files).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
ALERT_TESTS = (
    DEPLOY / "prometheus" / "alerts_test.yaml",
    DEPLOY / "prometheus" / "alerts_weeks_test.yaml",
)
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"

VARIABLES = {
    "$__rate_interval": "5m",
    "$catalog": "public|ours",
    "$job": "syncer",
    "$namespace": ".*",
}
"""What Grafana puts in place of its variables, for example."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and where it stands."""

    place: str
    expression: str


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every rule, alerting or recording, in order."""
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return tuple(rule for group in document["groups"] for rule in group["rules"])


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules, by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> frozenset[str]:
    """The names that recording rules make."""
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


@cache
def dashboard() -> dict[str, Any]:
    """The dashboard's model."""
    model: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return model


def panels() -> Iterator[dict[str, Any]]:
    """The panels with queries; rows are only headings."""
    yield from (panel for panel in dashboard()["panels"] if panel["type"] != "row")


def rule_queries() -> list[Query]:
    """The expressions of alerts.yaml."""
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def dashboard_queries() -> list[Query]:
    """The expressions of the dashboard, with an example in place of each variable."""
    found = [
        Query(f"{panel['title']} {target['refId']}", _example(target["expr"]))
        for panel in panels()
        for target in panel["targets"]
    ]
    found += [
        Query(f"annotation {annotation['name']}", _example(annotation["expr"]))
        for annotation in dashboard()["annotations"]["list"]
    ]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            # label_values(SELECTOR, label) is Grafana's; what stands in it is PromQL.
            selector, _, label = variable["definition"].partition("(")[2].rpartition(",")
            expression = f"count by ({label.strip(' )')}) ({_example(selector)})"
            found.append(Query(f"variable {variable['name']}", expression))
    return found


def _example(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
