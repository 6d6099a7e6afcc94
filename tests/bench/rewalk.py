"""
A sweep of unchanged models by a fresh process: what reading everything again costs.

Owns the two sources it is asked of, one whose answers never differ by a byte and one that signs and
orders anew in each answer, and the measure of what either can serve at most.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figures, Report, rows_from
from bench.mirror import CONCURRENCY, PAGE, Bench, cost, spend, write_config
from bench.process import ProgramFailed, clean_environment, module, run
from bench.source import Source, source_process

ANSWERS = {
    "byte-equal": {"volatile": False},
    "signed, ordered anew": {"volatile": True, "restless": True},
}

SEEN = f"""
WITH paged AS (
    SELECT id, (row_number() OVER (ORDER BY created_at, id) - 1) / {PAGE} AS page
    FROM scenario.models
)
INSERT INTO syncer.bench_seen (cycle_id, hashes, older_ids, is_blind)
SELECT 1, array_agg(hashtextextended(id, 1)), '{{}}', false FROM paged GROUP BY page
"""  # noqa: S608 - a number of ours
"""The rows of ``syncer.seen`` that a sweep of the whole mirror leaves, in a table like it."""


@dataclass(frozen=True)
class Filled:
    """A source and a mirror that holds all of it."""

    source: Source
    url: str
    config: Path


def measure(bench: Bench) -> Report:
    """Rounds of sweeps, both kinds of answers in each."""
    with ExitStack() as stack:
        filled = {
            label: _fill(bench, stack.enter_context(source_process(models=bench.models, **options)))
            for label, options in ANSWERS.items()
        }
        rounds = []
        for number in range(bench.rounds):
            bench.say(f"rewalk, round {number + 1} of {bench.rounds}")
            rounds.append({label: _sweep(bench, each) for label, each in filled.items()})
        served = {
            label: max(serve_speed(each.source, bench.models) for _ in range(bench.rounds))
            for label, each in filled.items()
        }
    return Report(
        "rewalk",
        rows_from(rounds),
        (
            f"{bench.models:,} models, all unchanged; ideal requests {-(-bench.models // PAGE)}",
            "rows written in schema scenario must be 0; WAL in KB a 1,000 models",
            "seen-set: the same rows written to a table like it and deleted again, alone",
            *(
                f"the source alone serves {speed:,.0f} models/s ({label}) to a reader that "
                f"discards them, {CONCURRENCY} requests at a time"
                for label, speed in served.items()
            ),
        ),
    )


def _fill(bench: Bench, source: Source) -> Filled:
    bench.say("rewalk: filling the mirror")
    name = f"syncer_bench_{source.process.pid}"
    url = bench.server.fresh(name)
    config = write_config(bench.place / f"{name}.toml", url, source.base_url)
    spend(config, "backfill")
    bench.server.execute(
        url, "CREATE TABLE syncer.bench_seen (LIKE syncer.seen INCLUDING ALL)", "VACUUM ANALYZE"
    )
    return Filled(source, url, config)


def _sweep(bench: Bench, filled: Filled) -> Figures:
    server, models = bench.server, bench.models
    server.execute(server.dsn, "CHECKPOINT")
    written = server.rows_written(filled.url, "scenario")
    figures = cost(server, filled.source, models, lambda: spend(filled.config, "sweep"))
    figures["rows_written"] = server.rows_written(filled.url, "scenario") - written
    figures["wal_kb_per_1000"] = figures.pop("wal_bytes_per_model")
    figures["of_it_seen_set"] = _seen_bytes(bench, filled.url) / models
    figures["wal_kb_without_it"] = figures["wal_kb_per_1000"] - figures["of_it_seen_set"]
    return figures


def _seen_bytes(bench: Bench, url: str) -> int:
    server = bench.server
    server.execute(server.dsn, "CHECKPOINT")
    before = server.wal_bytes()
    server.execute(url, SEEN, "DELETE FROM syncer.bench_seen")
    return server.wal_bytes() - before


def serve_speed(
    source: Source, models: int, *, concurrency: int = CONCURRENCY, page: int = PAGE
) -> float:
    """Models per second that the source serves to a process that reads and discards."""
    limits = (str(concurrency), str(page))
    ended = run(module("reader", source.base_url, *limits), clean_environment())
    said = ended.last_json()
    if said["pages"] * page < models:
        raise ProgramFailed(f"the reader found {said['pages']} pages of {models} models")
    return float(models / said["work_s"])
