"""
What it costs when nothing has changed: a poll of the daemon, a cold command, a start.

Owns the waiting beside a daemon that polls much more often than anybody would, so that its polls
outweigh what else it does (leases, look-outs), which is counted in all the same.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from bench.figures import Figures, Report, Row, rows_from
from bench.mirror import Bench, command, spend, syncer, write_config
from bench.process import clean_environment, running
from bench.source import Source, source_process

POLL_S = 0.2
SETTLE_S = 3.0
WATCH_S = 15.0
STARTS = 5

COMMANDS = {
    "syncer --help": ("--help",),
    "syncer status --json": ("status", "--json"),
    "syncer sync, nothing to do": ("sync",),
}


def measure(bench: Bench) -> Report:
    """A daemon's polls, then commands, each several times."""
    with source_process(models=bench.models) as source:
        bench.say("idle: filling the mirror")
        url = bench.server.fresh()
        catalogs = ({"name": "public", "poll_interval_s": POLL_S},)
        config = write_config(bench.place / "idle.toml", url, source.base_url, catalogs=catalogs)
        spend(config, "backfill")
        starts = [_starts(bench, config) for _ in range(STARTS)]
        with running(command(config, "run"), clean_environment()) as daemon:
            time.sleep(SETTLE_S)
            polls = []
            for number in range(bench.rounds):
                bench.say(f"idle, round {number + 1} of {bench.rounds}")
                polls.append(_watch(bench, source, url, daemon))
    return Report(
        "idle",
        (
            Row("one poll of the daemon", tuple(polls)),
            *rows_from(starts),
        ),
        (
            f"{bench.models:,} models; the daemon polls every {POLL_S:g} s, {WATCH_S:g} s a round",
            "whatever else it does meanwhile is counted in",
            f"commands: medians of {STARTS} starts; rows and WAL are those of one poll",
        ),
    )


def _watch(bench: Bench, source: Source, url: str, daemon: psutil.Popen) -> Figures:
    server = bench.server

    def look() -> tuple[float, ...]:
        times = daemon.cpu_times()
        schemas = ("scenario", "syncer")
        rows = [server.rows_written(url, schema) for schema in schemas]
        return (times.user + times.system, server.cpu_s(), server.wal_bytes(), *rows)

    source.forget()
    before = look()
    time.sleep(WATCH_S)
    after = look()
    polls = len(source.arrivals())
    cpu_s, server_s, wal_bytes, mirror_rows, own_rows = (
        (late - early) / polls for early, late in zip(before, after, strict=True)
    )
    return {
        "cpu_ms": cpu_s * 1e3,
        "server_cpu_ms": server_s * 1e3,
        "requests_per_s": polls / WATCH_S,
        "rows_in_scenario": mirror_rows,
        "rows_in_syncer": own_rows,
        "wal_bytes": wal_bytes,
    }


def _starts(bench: Bench, config: Path) -> dict[str, Figures]:
    bench.say("idle: starting commands")
    found = {}
    for label, arguments in COMMANDS.items():
        ended = syncer(config, *arguments)
        found[label] = {
            "wall_s": ended.seconds,
            "cpu_s": ended.cpu_s,
            "peak_rss_mb": ended.peak_bytes / 1e6,
        }
    return found
