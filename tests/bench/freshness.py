"""
From a change in the source to the row in PostgreSQL, while the same daemon fills another catalog.

Owns the changes and the looking for them. The source answers after a while, so that the backfill
lasts, and occupies every request that the daemon may have under way.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
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
BETWEEN_S = 0.097
"""Between two changes; no part of the poll interval, so that all phases of it occur."""

FOLLOWED = "SELECT id FROM scenario.models WHERE catalog = 'followed'"
FILLED = "SELECT count(*) FROM scenario.models WHERE catalog = 'filling'"
STORED = """
SELECT id, updated_at FROM scenario.models WHERE catalog = 'followed' AND id = ANY ($1)
"""


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


@dataclass
class Watch:
    """The changes that were made and are not in PostgreSQL yet."""

    connection: asyncpg.Connection
    source: Source
    made: dict[str, tuple[datetime, float]] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)

    async def change(self, model_id: str) -> None:
        """Update a model in the source, unless it is being waited for."""
        if model_id not in self.made:
            updated_at = await asyncio.to_thread(self.source.touch, model_id)
            self.made[model_id] = (datetime.fromisoformat(updated_at), time.perf_counter())

    async def look(self) -> None:
        """Take note of what has arrived, and of what never will."""
        stored = dict(await self.connection.fetch(STORED, list(self.made)))
        now = time.perf_counter()
        for model_id, (updated_at, began) in list(self.made.items()):
            if stored[model_id] >= updated_at or now - began > GIVE_UP_S:
                self.delays.append(now - began)
                del self.made[model_id]

    async def filled(self) -> int:
        """Models of the other catalog."""
        return int(await self.connection.fetchval(FILLED))


async def _delays(source: Source, url: str, models: int) -> list[float]:
    connection = await asyncpg.connect(url)
    try:
        ids = [row["id"] for row in await connection.fetch(FOLLOWED)]
        watch = Watch(connection, source)
        while not await watch.filled():
            await asyncio.sleep(LOOK_S)
        next_at = time.perf_counter()
        for model_id in itertools.cycle(ids):
            await watch.change(model_id)
            next_at += BETWEEN_S
            while time.perf_counter() < next_at:
                await watch.look()
                await asyncio.sleep(LOOK_S)
            if await watch.filled() >= models:
                break
        while watch.made:
            await watch.look()
            await asyncio.sleep(LOOK_S)
        return watch.delays
    finally:
        await connection.close()
