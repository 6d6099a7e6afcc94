"""
A backfill end to end, beside the bound and the rivals.

Owns who takes part, how each is started, and the check that each has stored every model. Each round
runs them one after another, every one into a fresh database, from one source.
Kind: edge (processes).
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.figures import Figures, Report, ratios_to, rows_from
from bench.mirror import CONCURRENCY, CONNECTIONS, PAGE, Bench, Spent, cost, spend, write_config
from bench.process import ProgramFailed, clean_environment, hear, module, run, talking
from bench.source import Source, source_process

OURS = "syncer"
WITHOUT_HISTORY = "syncer-no-history"
RIVALS = (
    "copy",
    WITHOUT_HISTORY,
    "dlt-csv",
    "dlt-merge",
    "dlt-parquet",
    "dlt-default",
    "sdk",
    "sdk-raw",
)
RIVALS_TABLE = "mirror.models"
GET_RIVALS = "uv run --group bench python tests/bench/run.py"


@dataclass(frozen=True)
class Contender:
    """One way to fill a table."""

    label: str
    work: Callable[[str], Spent]
    """Fill the database of this URL."""
    table: str = RIVALS_TABLE
    has_schema: bool = False
    """It starts from our schema, empty."""


def measure(bench: Bench) -> Report:
    """Rounds of everybody, and how we compare."""
    with source_process(models=bench.models) as source, _copy(bench, source) as copy:
        everybody = [copy, *_rivals(bench, source)]
        rivals = [each for each in everybody if not bench.against or each.label in bench.against]
        contenders = [_ours(bench, source), *rivals]
        failed: dict[str, str] = {}
        rounds = []
        for number in range(bench.rounds):
            turn = number % len(contenders)
            figures: dict[str, Figures] = {}
            for contender in contenders[turn:] + contenders[:turn]:
                bench.say(f"backfill, round {number + 1} of {bench.rounds}: {contender.label}")
                try:
                    figures[contender.label] = _fill(bench, source, contender)
                except ProgramFailed as error:
                    if contender.table != RIVALS_TABLE:
                        raise
                    failed[contender.label] = str(error).splitlines()[-1]
            rounds.append({c.label: figures[c.label] for c in contenders if c.label in figures})
    rows = rows_from(rounds)
    notes = [
        f"{bench.models:,} models; ideal requests: {-(-bench.models // PAGE)}",
        f"{CONNECTIONS} connections, {CONCURRENCY} requests at a time, where a contender can",
        "speeds: from the first request to the last commit; 'command': the whole program",
        f"{WITHOUT_HISTORY}: the same program, writing no change records",
        "copy, the bound, has its rows ready in memory, decodes nothing and asks nothing",
        "dlt-csv, -parquet: Arrow in parallel, appended to a table without key or index",
        "dlt-merge: as dlt-csv, but merged by id, so that it could run twice, as a mirror must",
        "dlt-default: as it comes, with child tables for lists, appended",
        "sdk: the vendor's objects; sdk-raw: its raw responses; both upsert arrays, ten columns",
        *(f"{label} failed and is left out: {why}" for label, why in failed.items()),
        *_missing(),
    ]
    return Report(
        "backfill",
        rows,
        tuple(notes),
        {
            "syncer_times_this": ratios_to(OURS, rows, "models_per_s"),
            "syncer_command_times_this": ratios_to(OURS, rows, "command_models_per_s"),
        },
    )


def _fill(bench: Bench, source: Source, contender: Contender) -> Figures:
    url = bench.server.fresh(schema=contender.has_schema)
    figures = cost(bench.server, source, bench.models, lambda: contender.work(url))
    stored = bench.server.value(url, f"SELECT count(DISTINCT id) FROM {contender.table}")  # noqa: S608 - our own name
    if stored != bench.models:
        raise ProgramFailed(f"{contender.label} stored {stored} of {bench.models} models")
    if not figures["requests"]:
        del figures["requests"]
    return figures


def _ours(bench: Bench, source: Source, program: str | None = None, label: str = OURS) -> Contender:
    def work(url: str) -> Spent:
        config = write_config(bench.place / "ours.toml", url, source.base_url)
        return spend(config, "backfill", program=program)

    return Contender(label, work, table="scenario.models", has_schema=True)


@contextmanager
def _copy(bench: Bench, source: Source) -> Iterator[Contender]:
    with talking(module("rival_copy", source.base_url), clean_environment()) as process:
        bench.say("backfill: preparing the rows for copy")
        hear(process)

        def work(url: str) -> Spent:
            said = hear(process, url)
            return Spent(said["work_s"], said["work_s"], said["cpu_s"], said["peak_bytes"])

        yield Contender("copy", work, table="scenario.models", has_schema=True)


def _rivals(bench: Bench, source: Source) -> Iterator[Contender]:
    yield _ours(bench, source, "without_history", WITHOUT_HISTORY)
    if _installed("dlt", "pyarrow", "psycopg2"):
        yield _dlt(bench, source, "csv", "dlt-csv")
        yield _dlt(bench, source, "merge", "dlt-merge")
        if _installed("adbc_driver_postgresql"):
            yield _dlt(bench, source, "parquet", "dlt-parquet")
        yield _dlt(bench, source, "default", "dlt-default")
    if _installed("scenario_sdk"):
        yield _sdk(bench, source, "typed", "sdk")
        yield _sdk(bench, source, "raw", "sdk-raw")


def _dlt(bench: Bench, source: Source, mode: str, label: str) -> Contender:
    def work(url: str) -> Spent:
        place = bench.place / "dlt"
        shutil.rmtree(place, ignore_errors=True)
        limits = (str(CONNECTIONS), str(CONCURRENCY), str(count_windows(bench.models)))
        where = (str(place), *limits, str(bench.models))
        return _program("rival_dlt", mode, libpq_url(url), source.base_url, *where)

    return Contender(label, work)


def _sdk(bench: Bench, source: Source, mode: str, label: str) -> Contender:
    def work(url: str) -> Spent:
        limits = (str(CONNECTIONS), str(CONCURRENCY), str(count_windows(bench.models)))
        return _program("rival_sdk", mode, url, source.base_url, *limits)

    return Contender(label, work)


def _program(name: str, *arguments: str) -> Spent:
    place = arguments[3] if name == "rival_dlt" else ""
    ended = run(module(name, *arguments), clean_environment(DLT_DATA_DIR=place))
    return Spent(ended.last_json()["work_s"], ended.seconds, ended.cpu_s, ended.peak_bytes)


def count_windows(models: int) -> int:
    """A rival's windows of createdAt: enough to balance its workers, few enough for full pages."""
    return min(4 * CONCURRENCY, max(CONCURRENCY, models // (4 * PAGE)))


def libpq_url(url: str) -> str:
    """A URL with the host and password that dlt insists on; libpq takes the last host it reads."""
    return url.replace("@/", ":unused@localhost/", 1)


def _installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def _missing() -> Iterator[str]:
    packages = ("dlt", "pyarrow", "psycopg2", "adbc_driver_postgresql", "scenario_sdk")
    missing = [name for name in packages if not _installed(name)]
    if missing:
        yield f"not installed: {', '.join(missing)}; with them: {GET_RIVALS}"
