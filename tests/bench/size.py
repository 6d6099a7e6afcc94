"""
Ten thousand models and many: what a model costs, and what memory it takes.

Kind: edge (processes).
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figures, Report, Row, ratio
from bench.mirror import Bench, cost, spend, write_config
from bench.source import Source, source_process

SMALL = 10_000
PAGES = (500, 50)
KEPT = (
    "models_per_s",
    "cpu_us_per_model",
    "client_cpu_us_per_model",
    "server_cpu_us_per_model",
    "wal_bytes_per_model",
    "peak_rss_mb",
    "requests",
)


def measure(bench: Bench) -> Report:
    """A backfill and a sweep of the small catalog, several times, and of the large one, once."""
    rows, notes = [], []
    for models, page in ((SMALL, PAGES[0]), (SMALL, PAGES[1]), (bench.large, PAGES[0])):
        rounds = bench.rounds if models == SMALL else 1
        with source_process(models=models) as source:
            notes.append(
                f"the source with {models:,} models: ready after {source.started_s:.1f} s, "
                f"{source.rss_bytes() / 1e6:,.0f} MB"
            )
            found = [_both(bench, source, models, page) for _ in range(rounds)]
        for kind in ("backfill", "sweep"):
            label = f"{kind}, {models:,}, page {page}"
            rows.append(Row(label, tuple(each[kind] for each in found)))
    return Report(
        "size",
        tuple(rows),
        (
            *dict.fromkeys(notes),
            *_growth(rows),
            "the long run is --large 1000000 --rounds 1: two gigabytes for the source alone",
        ),
    )


def _both(bench: Bench, source: Source, models: int, page: int) -> dict[str, Figures]:
    bench.say(f"size: {models:,} models, page {page}")
    url = bench.server.fresh()
    config = write_config(
        bench.place / "size.toml", url, source.base_url, source={"page_size": page}
    )
    found = {}
    for kind in ("backfill", "sweep"):
        figures = cost(bench.server, source, models, lambda kind=kind: spend(config, kind))
        found[kind] = {name: figures[name] for name in KEPT}
    return found


def _growth(rows: list[Row]) -> Iterator[str]:
    small, large = rows[:2], rows[-2:]
    for before, after in zip(small, large, strict=True):
        cpu, speed = (ratio(after, before, n) for n in ("cpu_us_per_model", "models_per_s"))
        if cpu and speed:
            yield (
                f"{after.label}: {cpu:.2f} times the CPU and {1 / speed:.2f} times the time a "
                f"model of {SMALL:,}"
            )
