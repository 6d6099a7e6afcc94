"""
The scenarios of the suite by name.

Owns which there are, and which run only when asked for.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import backfill, rewalk
from bench.figures import Report
from bench.mirror import Bench


@dataclass(frozen=True)
class Scenario:
    """One table of the suite."""

    name: str
    what: str
    measure: Callable[[Bench], Report]
    opt_in: bool = False
    """It takes minutes, whatever the number of models."""


SCENARIOS = (
    Scenario("backfill", "filling an empty mirror, beside COPY, dlt and the SDK", backfill.measure),
    Scenario("rewalk", "a sweep of unchanged models by a fresh process", rewalk.measure),
)
