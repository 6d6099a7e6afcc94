"""
From a change in the source to the row in PostgreSQL, while the same daemon fills another catalog.

Owns the changes and the looking for them. The source answers after a while, so that the backfill
lasts, and occupies every request that the daemon may have under way.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import asyncpg
from bench.figures import Report, Row, percentile
from bench.mirror import Bench, command, spend, write_config
from bench.process import clean_environment, running
from bench.source import Source, source_process

POLL_S = 1.0
LATENCY_MS = 100
SOURCE = {"max_concurrency": 4, "page_size": 50}
FOLLOWED_TYPE = "flux.1-composition"
LOOK_S = 0.01
GIVE_UP_S = 30.0
BETWEEN_S = 0.37
"""Between a row and the next change; no part of the poll interval, so that all phases occur."""


def measure(bench: Bench) -> Report:
    """One daemon, two catalogs, changes until the backfill is done."""
    with source_process(models=bench.models, latency_ms=LATENCY_MS) as source:
        url = bench.server.fresh()
        followed = {"name": "followed", "types": [FOLLOWED_TYPE], "poll_interval_s": POLL_S}
        config = write_config(
            bench.place / "freshness.toml",
            url,
            source.base_url,
            source=SOURCE,
            catalogs=(followed, {"name": "filling"}),
        )
        bench.say("freshness: filling the followed catalog")
        spend(config, "backfill", "--catalog", "followed")
        bench.say("freshness: changing models while the other one is filled")
        with running(command(config, "run"), clean_environment()):
            delays = bench.server.runner.run(_delays(source, url, bench.models))
    if not delays:
        raise SystemExit("the backfill was over before anything could be measured: more --models")
    figures = {
        "p50_s": percentile(delays, 0.5),
        "p99_s": percentile(delays, 0.99),
        "max_s": max(delays),
        "changes": len(delays),
        "limit_s": POLL_S + 1,
        "above_limit": sum(delay > POLL_S + 1 for delay in delays),
    }
    return Report(
        "freshness",
        (Row("change to row", (figures,)),),
        (
            f"poll interval {POLL_S:g} s; meanwhile a backfill of {bench.models:,} models",
            f"{SOURCE['max_concurrency']} requests at a time, {LATENCY_MS} ms each",
            f"a change that is not there after {GIVE_UP_S:g} s counts as that",
        ),
    )


async def _delays(source: Source, url: str, models: int) -> list[float]:
    connection = await asyncpg.connect(url)
    delays = []
    try:
        ids = await connection.fetch("SELECT id FROM scenario.models WHERE catalog = 'followed'")
        for model_id in _around([row["id"] for row in ids]):
            delay_s = await _delay(connection, source, model_id)
            filled = await connection.fetchval(
                "SELECT count(*) FROM scenario.models WHERE catalog = 'filling'"
            )
            if filled >= models:
                return delays
            if filled:
                delays.append(delay_s)
            await asyncio.sleep(BETWEEN_S)
    finally:
        await connection.close()
    return delays


async def _delay(connection: asyncpg.Connection, source: Source, model_id: str) -> float:
    updated_at = datetime.fromisoformat(await asyncio.to_thread(source.touch, model_id))
    began = time.perf_counter()
    while (waited_s := time.perf_counter() - began) < GIVE_UP_S:
        stored = await connection.fetchval(
            "SELECT updated_at FROM scenario.models WHERE catalog = 'followed' AND id = $1",
            model_id,
        )
        if stored >= updated_at:
            return waited_s
        await asyncio.sleep(LOOK_S)
    return GIVE_UP_S


def _around(items: list[str]) -> Iterator[str]:
    while True:
        yield from items
