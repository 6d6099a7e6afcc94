"""
syncer as its users run it: a configuration file and the installed command.

Owns the configuration of the runs and how a run's cost is taken. Never looks inside the program.
Kind: edge (processes, files).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figures
from bench.process import SYNCER, Ended, clean_environment, module, run
from bench.server import Server
from bench.source import Source

CONNECTIONS = 4
CONCURRENCY = 8
PAGE = 500
NO_BUDGET = 1_000_000
"""Requests per minute that nothing here reaches."""

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """What a scenario is given."""

    models: int
    rounds: int
    large: int
    against: tuple[str, ...]
    """Whom the backfill is compared with; nobody named means everybody."""
    server: Server
    place: Path
    say: Callable[[str], None]


@dataclass(frozen=True)
class Spent:
    """What one run of one contender took."""

    work_s: float
    """From its first request to its last commit, as it says itself."""
    command_s: float
    """The whole program, start and end included."""
    cpu_s: float
    peak_bytes: int


def write_config(
    path: Path,
    url: str,
    base_url: str,
    *,
    catalogs: Iterable[Section] = ({"name": "public"},),
    source: Section | None = None,
) -> Path:
    """A configuration file: our connections and concurrency, the budget out of the way."""
    sections = {
        "source": {
            "base_url": base_url,
            "page_size": PAGE,
            "max_concurrency": CONCURRENCY,
            "max_requests_per_minute": NO_BUDGET,
            **(source or {}),
        },
        "database": {"url": url, "embedded": "never", "pool_size": CONNECTIONS},
        "http": {"listen": ""},
    }
    lines = []
    for name, section in (*((f"[{n}]", s) for n, s in sections.items()), *_named(catalogs)):
        # What JSON writes for strings, numbers, booleans and lists of them is TOML as well.
        lines += [name, *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _named(catalogs: Iterable[Section]) -> Iterable[tuple[str, Section]]:
    return (("[[catalog]]", catalog) for catalog in catalogs)


def command(config: Path, *arguments: str) -> list[str]:
    """The command line of a run whose log can be read."""
    return [SYNCER, "--config", str(config), "--log-format", "json", *arguments]


def syncer(config: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
    """Run a command to its end."""
    return run(command(config, *arguments), clean_environment(), codes=codes)


def work_seconds(ended: Ended) -> float:
    """What the cycles of a command took, by its own log."""
    return sum(each["duration_s"] for each in ended.events if each["event"] == "cycle_finished")


def spend(config: Path, *arguments: str, program: str | None = None) -> Spent:
    """Run a command to its end, of syncer or of a program of this suite; what it took."""
    words = command(config, *arguments)
    if program is not None:
        words = module(program, *words[1:])
    ended = run(words, clean_environment())
    return Spent(work_seconds(ended), ended.seconds, ended.cpu_s, ended.peak_bytes)


def cost(server: Server, source: Source, models: int, work: Callable[[], Spent]) -> Figures:
    """Do something to that many models and say what it cost, and whom."""
    source.forget()
    before = (server.cpu_s(), source.cpu_s(), server.wal_bytes())
    spent = work()
    after = (server.cpu_s(), source.cpu_s(), server.wal_bytes())
    server_s, source_s, wal_bytes = (
        late - early for early, late in zip(before, after, strict=True)
    )
    return {
        "models_per_s": models / spent.work_s,
        "command_models_per_s": models / spent.command_s,
        "cpu_us_per_model": (spent.cpu_s + server_s) / models * 1e6,
        "client_cpu_us_per_model": spent.cpu_s / models * 1e6,
        "server_cpu_us_per_model": server_s / models * 1e6,
        "source_cpu_us_per_model": source_s / models * 1e6,
        "wal_bytes_per_model": wal_bytes / models,
        "peak_rss_mb": spent.peak_bytes / 1e6,
        "requests": len(source.arrivals()),
    }
