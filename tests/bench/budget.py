"""
A budget that is a real limit: whether it is kept, used, and how few requests a walk needs.

Owns the arrivals as the source counts them. ``budget`` waits for real minutes: a small budget and
small pages make few models last long enough.
Kind: edge (processes).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.figures import Figures, Report, Row, busiest_window, mean_rate, rows_from
from bench.mirror import PAGE, Bench, spend, syncer, write_config
from bench.source import Source, source_process

PER_MINUTE = 60
SMALL_PAGE = 40
WINDOW_S = 60.0
WINDOWS = 2.5
"""How many windows the work of one run takes."""
PROCESSES = (1, 3)
REAL_SIZE = 700
WAYS = ("auto", "time", "type", "tag")


def measure(bench: Bench) -> Report:
    """One process, and three with a catalog each, against one source with a limit."""
    rows = []
    for processes in PROCESSES:
        bench.say(f"budget: {processes} process(es), about {WINDOWS:g} min")
        models = int(WINDOWS * PER_MINUTE * SMALL_PAGE / processes)
        with source_process(models=models, rate_per_minute=PER_MINUTE) as source:
            figures = _race(bench, source, models, processes)
        rows.append(Row(f"{processes} process(es)", (figures,)))
    return Report(
        "budget",
        tuple(rows),
        (
            f"pages of {SMALL_PAGE}; the limit is in any {WINDOW_S:g} s, counted on arrival",
            "share used: mean rate from first to last arrival ÷ limit; bursts can lift it above 1",
            "ideal seconds: the ideal requests at the limit, from beginning to end",
        ),
    )


def _race(bench: Bench, source: Source, models: int, processes: int) -> Figures:
    url = bench.server.fresh()
    names = [f"catalog_{number}" for number in range(processes)]
    config = write_config(
        bench.place / "budget.toml",
        url,
        source.base_url,
        source={"max_requests_per_minute": PER_MINUTE, "page_size": SMALL_PAGE},
        catalogs=[{"name": name} for name in names],
    )
    with ThreadPoolExecutor(processes) as pool:
        commands = [
            pool.submit(syncer, config, "backfill", "--catalog", name, codes=(0, 5, 7))
            for name in names
        ]
        codes = [each.result().code for each in commands]
    return _kept(source, models, processes) | {"complete": codes.count(0)}


def _kept(source: Source, models: int, processes: int) -> Figures:
    arrivals = source.arrivals()
    at_s = sorted(each["at_s"] for each in arrivals)
    ideal = processes * -(-models // SMALL_PAGE)
    return {
        "limit": PER_MINUTE,
        "busiest_window": busiest_window(at_s, WINDOW_S),
        "refused_429": sum(each["status"] == 429 for each in arrivals),
        "share_used": mean_rate(at_s, WINDOW_S) / PER_MINUTE,
        "requests": len(at_s),
        "ideal_requests": ideal,
        "took_s": at_s[-1] - at_s[0],
        "ideal_s": WINDOW_S * ideal / PER_MINUTE,
    }


def measure_requests(bench: Bench) -> Report:
    """How many requests a backfill takes, by strategy, with the budget out of the way."""
    sizes: dict[str, Any] = {}
    for models in dict.fromkeys((REAL_SIZE, bench.models)):
        with source_process(models=models) as source:
            for way in WAYS:
                bench.say(f"requests: {models:,} models by {way}")
                sizes[f"{models:,} by {way}"] = _requests(bench, source, models, way)
    return Report(
        "requests",
        rows_from([sizes]),
        (
            "one run each; ideal: models ÷ page size",
            "type and tag pay for an unfiltered walk beside their partitions",
        ),
    )


def _requests(bench: Bench, source: Source, models: int, way: str) -> Figures:
    config: Path = write_config(
        bench.place / "requests.toml",
        bench.server.fresh(),
        source.base_url,
        catalogs=({"name": "public", "partition_by": way},),
    )
    source.forget()
    spend(config, "backfill")
    filled = len(source.arrivals())
    source.forget()
    spend(config, "sync")
    ideal = -(-models // PAGE)
    return {
        "requests": filled,
        "ideal_requests": ideal,
        "requests_to_ideal": filled / ideal,
        "of_the_next_sync": len(source.arrivals()),
    }
