"""
What a scrape of ``/metrics`` says, for the quick tests of alerts and dashboard.

Owns the one place where that text comes from, and reading it. Never judges.
Kind: edge (a file).
"""

from __future__ import annotations

import re
from pathlib import Path

_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? \S+$")
_LABEL = re.compile(r'([a-z_]+)="[^"]*"')


def scrape_by_design() -> str:
    """A text with every metric that a scrape has: tests/integration/test_web.py holds it to one."""
    return Path(__file__).with_name("scrape_by_design.txt").read_text(encoding="utf-8")


def labels_by_metric(text: str) -> dict[str, frozenset[str]]:
    """Every metric of a scrape with the labels that it has."""
    found: dict[str, frozenset[str]] = {}
    for line in text.splitlines():
        if sample := _SAMPLE.match(line):
            labels = frozenset(_LABEL.findall(sample["labels"] or ""))
            found[sample["name"]] = found.get(sample["name"], frozenset()) | labels
    return found
