"""
A source that takes 200 ms to answer: how much of concurrency times page by latency is used.

Kind: edge (processes).
"""

from __future__ import annotations

from bench.figures import Figures, Report, rows_from
from bench.mirror import Bench, spend, write_config
from bench.rewalk import serve_speed
from bench.source import Source, source_process

LATENCY_MS = 200
SHAPES = ((1, 500), (2, 500), (4, 250), (8, 100), (8, 500))
"""Requests at a time and models a page; the last is more than PostgreSQL takes in."""


def measure(bench: Bench) -> Report:
    """Rounds of backfills in all shapes."""
    rounds = []
    shapes = {f"{times} at a time, page {page}": (times, page) for times, page in SHAPES}
    with source_process(models=bench.models, latency_ms=LATENCY_MS) as source:
        for number in range(bench.rounds):
            figures: dict[str, Figures] = {}
            for label, (concurrency, page) in shapes.items():
                bench.say(f"latency, round {number + 1} of {bench.rounds}: {label}")
                figures[label] = _fill(bench, source, concurrency, page)
                if number == 0:
                    figures[label]["reader_models_per_s"] = serve_speed(
                        source, bench.models, concurrency=concurrency, page=page
                    )
            rounds.append(figures)
    return Report(
        "latency",
        rows_from(rounds),
        (
            f"{bench.models:,} models, {LATENCY_MS} ms before each answer",
            "reader: asks the same in the same shape, knows all tokens, discards what it reads",
            "a walk begins with one page and ends with idle workers: few pages lower the share",
        ),
    )


def _fill(bench: Bench, source: Source, concurrency: int, page: int) -> Figures:
    config = write_config(
        bench.place / "latency.toml",
        bench.server.fresh(),
        source.base_url,
        source={"max_concurrency": concurrency, "page_size": page},
    )
    source.forget()
    spent = spend(config, "backfill")
    ideal = concurrency * page / LATENCY_MS * 1e3
    return {
        "models_per_s": bench.models / spent.work_s,
        "ideal_models_per_s": ideal,
        "share_of_ideal": bench.models / spent.work_s / ideal,
        "requests": len(source.arrivals()),
        "ideal_requests": -(-bench.models // page),
    }
