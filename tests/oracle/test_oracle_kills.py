"""
The oracle with real deaths: ``syncer sync`` is killed at any moment, again and again, and then not.

What the machine of ``test_oracle`` cannot strike, because it shares its process: log-in, migration
check, lease, end. Fewer examples, as each command has to start.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.command import Place
from support.history import lies
from support.mirror import SourceTime, mirroring, new_source
from support.oracle_checks import backwards
from support.oracle_edits import TRACED, UNTRACED, Author, Edit, Turn
from support.oracle_snapshot import Snapshot, empty, look
from support.oracle_world import Conditions, World

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.simulator import SimulatedSource

EXAMPLES = int(os.environ.get("ORACLE_KILLS", "100"))
KILLS = 2
LATEST_REQUEST = 10
LONGEST_DELAY_S = 0.02


class Executioner:
    """Edits before each answer, and kills the one who asks at the ``number``-th."""

    def __init__(self, author: Author, rng: random.Random, process: Any) -> None:
        self._author = author
        self._rng = rng
        self._process = process
        self._left = rng.randint(1, LATEST_REQUEST)

    def __call__(self, _: dict[str, str]) -> None:
        if self._rng.random() < 1 / 2:
            self._author.play(any_turn(self._rng))
        self._left -= 1
        if self._left == 0:
            delay_s = self._rng.uniform(0, LONGEST_DELAY_S)
            asyncio.get_running_loop().call_later(delay_s, self._strike)

    def _strike(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


def any_turn(rng: random.Random, edits: int = 2) -> Turn:
    """A few edits, and a little time."""
    kinds = (*TRACED, *UNTRACED)
    chosen = [
        Edit(rng.choice(kinds), rng.randrange(15), rng.randrange(5))
        for _ in range(rng.randint(0, edits))
    ]
    return Turn(tuple(chosen), rng.choice((0, 1, 400, 1000)))


def environment(url: str, base_url: str, conditions: Conditions) -> dict[str, Any]:
    """The configuration of the command; the budget is not what is tested."""
    settings = {
        name if "__" in name else f"catalog__public__{name}": value
        for name, value in conditions.settings().items()
    }
    return settings | {
        "http__listen": "",
        "database__url": url,
        "database__embedded": "never",
        "source__base_url": base_url,
        "source__max_requests_per_minute": 1_000_000,
    }


async def killed_and_at_rest(url: str, place: Place, seed: int) -> None:
    """One example: kills, then quiet."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    conditions = Conditions(page_size=rng.choice((1, 2, 3)), overlap_s=2, concurrency=2)
    time = SourceTime()
    source = new_source(time)
    author = Author(source, time, conditions.overlap_s * 1000)
    author.play(any_turn(rng, edits=20))
    author.untraced.clear()
    async with mirroring(url, source, time=time, **conditions.settings()) as mirror:
        await empty(mirror.observer)
        base_url = mirror.keys["SYNCER_SOURCE__BASE_URL"]
        place.set(**environment(url, base_url, conditions))
        last = Snapshot({})
        for _ in range(KILLS):
            await kill(place, source, author, rng)
            found = await look(mirror.observer)
            assert [] == list(backwards(last, found))
            assert [] == await lies(mirror.observer)
            last = found
        world = World(mirror, author)
        try:
            world.ever_shown = {(each, row.content_hash) for each, row in last.rows.items()}
            world.before = last
            await world.rest()
        finally:
            await world.close()


async def kill(place: Place, source: SimulatedSource, author: Author, rng: random.Random) -> None:
    """Start a command and kill it; one that is done sooner has ended well."""
    author.play(any_turn(rng, edits=5))
    async with place.start("sync") as running:
        source.on_request = Executioner(author, rng, running.process)
        ended = await running.end()
    source.on_request = None
    # 5 is an open quarantine.
    assert ended.code in {0, 5, -signal.SIGKILL}, ended


@pytest.mark.parametrize("seed", range(2))
async def test_whenever_it_is_killed_the_next_one_mirrors_the_source(
    migrated_database_url: str, tmp_path: Path, seed: int
) -> None:
    await killed_and_at_rest(migrated_database_url, Place(tmp_path), seed)


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_whenever_it_is_killed_the_next_one_mirrors_the_source_at_length(
    migrated_database_url: str, tmp_path: Path
) -> None:
    for seed in range(100, 100 + EXAMPLES):
        await killed_and_at_rest(migrated_database_url, Place(tmp_path), seed)
