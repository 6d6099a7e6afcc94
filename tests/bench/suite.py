"""
The scenarios of the suite by name.

Owns which there are, and which run only when asked for.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import backfill, budget, freshness, idle, latency, rewalk, size
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
    Scenario("idle", "a poll and a command with nothing to do, and starts", idle.measure),
    Scenario("requests", "requests of a backfill by each strategy", budget.measure_requests),
    Scenario("latency", "a backfill from a source that takes 200 ms", latency.measure),
    Scenario("freshness", "from a change to its row, beside a backfill", freshness.measure),
    Scenario("size", "cost and memory at 10,000 models and at --large", size.measure),
    Scenario("budget", "a source that counts, one process and three", budget.measure, opt_in=True),
)
