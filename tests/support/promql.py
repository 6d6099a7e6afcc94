"""
The names in a PromQL expression: enough to tell whether they exist, and no more.

Owns finding metrics with the labels that are asked of them. Never evaluates; promtool does that.
Kind: pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TARGET_LABELS = frozenset({"job", "namespace", "instance"})
"""What Prometheus itself puts on each series."""

_STRING = re.compile(r'"[^"]*"|\'[^\']*\'')
_SELECTOR = re.compile(
    r"\b(?P<name>(?:catalog:)?syncer_[a-z_]+(?::[a-z]+)?|up|ALERTS)\b(?P<braces>\{[^}]*\})?"
)
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and the labels that it is selected by."""

    metric: str
    labels: frozenset[str]


def selectors(expression: str) -> Iterator[Selector]:
    """Every metric of ours in an expression, as often as it stands there."""
    for found in _SELECTOR.finditer(_STRING.sub('""', expression)):
        yield Selector(found["name"], frozenset(_MATCHER.findall(found["braces"] or "")))


def grouping_labels(expression: str) -> frozenset[str]:
    """Labels by which it aggregates or matches."""
    lists = _GROUPING.findall(_STRING.sub('""', expression))
    return frozenset(label.strip() for each in lists for label in each.split(",") if label.strip())


def unknown_names(expression: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """What an expression asks for and nobody says; ``known`` as in ``labels_by_metric``."""
    wrong: list[str] = []
    reachable = set(TARGET_LABELS)
    for each in selectors(expression):
        if each.metric not in known:
            wrong.append(each.metric)
            continue
        labels = known[each.metric] | TARGET_LABELS
        reachable |= labels
        wrong += [f"{each.metric}{{{label}}}" for label in sorted(each.labels - labels)]
    return wrong + [f"by ({label})" for label in sorted(grouping_labels(expression) - reachable)]
