"""
How fast is a backfill, beside a plain COPY of the same rows into the same table?

    uv run python tests/bench/bench_backfill.py [--models 20000] [--rounds 3] [--json]

Each round does both, in turn, on one server: a bare binary COPY of the finished rows into the empty
``scenario.models`` (all its indexes) over as many connections as the backfill may use, and ``syncer
backfill`` as its own process against the simulated source as another. Medians and their ratio are
printed; nothing is asserted. ``SYNCER_TEST_DSN`` names another server than the embedded one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from syncer.api.decode import decode_page, read_listed
from syncer.clock import SystemClock
from syncer.domain import Model, Page, SentOrder
from syncer.embedded import embedded_postgres
from syncer.simulator import SimulatedSource, SimulatorOptions
from syncer.store.migrate import migrate
from syncer.store.pool import open_pool
from syncer.store.rows import ROW_COLUMNS, batch_from_page, row_from_model

CONNECTIONS = 4
PAGE = 500
DATABASE = "syncer_bench"


def serve(models: int) -> None:
    """The source in a process of its own, as cheap as it gets: no gzip, nothing volatile."""

    async def main() -> None:
        options = SimulatorOptions(models=models, gzip=False, volatile=False)
        async with SimulatedSource(options).serve() as url:
            print(url, flush=True)  # noqa: T201 - the parent reads it
            await asyncio.Event().wait()

    asyncio.run(main())


@contextlib.contextmanager
def source_process(models: int) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(models)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    if dsn := os.environ.get("SYNCER_TEST_DSN"):
        yield dsn
        return
    with tempfile.TemporaryDirectory() as place:
        async with embedded_postgres(Path(place) / "pg", clock=SystemClock()) as started:
            yield started.dsn


async def fresh_database(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    url = urlunsplit(urlsplit(dsn)._replace(path=f"/{DATABASE}"))
    connection = await asyncpg.connect(url)
    await migrate(connection)
    await connection.execute("CHECKPOINT")
    await connection.close()
    return url


async def read_rows(base_url: str) -> list[list[tuple[Any, ...]]]:
    """Every page of the source as finished rows."""
    import aiohttp  # noqa: PLC0415 - only here

    pages: list[list[tuple[Any, ...]]] = []
    params = {
        "privacy": "public",
        "sortBy": "createdAt",
        "sortDirection": "asc",
        "pageSize": str(PAGE),
    }
    token: str | None = ""
    async with aiohttp.ClientSession(headers={"Authorization": "public-auth-token"}) as session:
        while token is not None:
            query = params | ({"paginationToken": token} if token else {})
            async with session.get(f"{base_url}/models", params=query) as answer:
                decoded = decode_page(await answer.read())
            page = Page(decoded.entries, decoded.next_token, None, SentOrder(1))
            batch = batch_from_page("public", page, read_listed)
            pages.append([row_from_model(batch, m) for m in batch.models if isinstance(m, Model)])
            token = decoded.next_token
    return pages


async def copy_bare(url: str, pages: list[list[tuple[Any, ...]]]) -> float:
    """Seconds for COPY alone: rows ready, pages as transactions, the same connections."""
    pool = await open_pool(
        url,
        size=CONNECTIONS,
        statement_timeout_s=600,
        idle_in_transaction_timeout_s=600,
        application_name="bench",
    )
    waiting = list(reversed(pages))

    async def work() -> None:
        async with pool.acquire() as connection:
            while waiting:
                await connection.copy_records_to_table(
                    "models", schema_name="scenario", columns=ROW_COLUMNS, records=waiting.pop()
                )

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    took = time.perf_counter() - began
    await pool.close()
    return took


async def backfill(url: str, base_url: str) -> tuple[float, float]:
    """Seconds of the cycle, and of the whole command with its start."""
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "SYNCER_SOURCE__BASE_URL": base_url,
        "SYNCER_SOURCE__MAX_REQUESTS_PER_MINUTE": "1000000",
        "SYNCER_DATABASE__POOL_SIZE": str(CONNECTIONS),
        "SYNCER_CONFIG": "",
    }
    command = [str(Path(sys.executable).parent / "syncer"), "--log-format", "json", "backfill"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    took = time.perf_counter() - began
    for line in errors.decode().splitlines():
        if line.startswith("{") and json.loads(line)["event"] == "cycle_finished":
            return json.loads(line)["duration_s"], took
    raise SystemExit(f"backfill did not finish: {errors.decode()[-2000:]}")


async def measure(models: int, rounds: int) -> dict[str, Any]:
    copied, cycles, commands = [], [], []
    with source_process(models) as base_url:
        async with server() as dsn:
            pages = await read_rows(base_url)
            for _ in range(rounds):
                copied.append(await copy_bare(await fresh_database(dsn), pages))
                cycle, command = await backfill(await fresh_database(dsn), base_url)
                cycles.append(cycle)
                commands.append(command)
    ratios = [copy / cycle for copy, cycle in zip(copied, cycles, strict=True)]
    return {
        "models": models,
        "rounds": rounds,
        "connections": CONNECTIONS,
        "copy_models_per_s": round(models / statistics.median(copied)),
        "backfill_models_per_s": round(models / statistics.median(cycles)),
        "command_models_per_s": round(models / statistics.median(commands)),
        "backfill_to_copy": round(statistics.median(ratios), 3),
        "backfill_to_copy_each": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    result = asyncio.run(measure(arguments.models, arguments.rounds))
    if arguments.json:
        print(json.dumps(result))  # noqa: T201 - a program
        return
    for name, value in result.items():
        print(f"{name:24} {value}")  # noqa: T201 - a program


if __name__ == "__main__":
    main()
