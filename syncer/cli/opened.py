"""
Open what a command works with: configuration, logging, signals, progress, database and source.

Owns the order in which commands that ask the source open and close it all. Never prints a result.
Kind: conductor.
"""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from syncer.cli.frame import Invocation, pick_catalogs

if TYPE_CHECKING:
    from syncer.config import CatalogSettings, Credentials, Settings
    from syncer.runtime import Runtime


@asynccontextmanager
async def opened(
    invocation: Invocation, names: Sequence[str], *, as_json: bool = False
) -> AsyncIterator[tuple[Runtime, tuple[CatalogSettings, ...]]]:
    """A runtime and the catalogs that a command is for; none named means all.

    Raises:
        ConfigError: the configuration is not usable, or a name stands nowhere in it.
        StoreError, Stopped: as ``opened_with``.
    """
    settings, credentials = invocation.configuration()
    catalogs = pick_catalogs(settings, names)
    async with opened_with(settings, credentials, as_json=as_json) as runtime:
        yield runtime, catalogs


@asynccontextmanager
async def opened_with(
    settings: Settings, credentials: Credentials, *, as_json: bool = False
) -> AsyncIterator[Runtime]:
    """A runtime under a configuration that was read already.

    A signal asks the work to stop (``runtime.stop``); what still runs after the grace is cancelled.

    Raises:
        StoreError, Stopped: as the runtime.
    """
    from syncer.clock import SystemClock  # noqa: PLC0415 - start-up time
    from syncer.crawl import StopSignal  # noqa: PLC0415
    from syncer.progress import build_progress  # noqa: PLC0415
    from syncer.runtime import open_runtime  # noqa: PLC0415
    from syncer.shutdown import stop_on_signals  # noqa: PLC0415
    from syncer.telemetry import logger  # noqa: PLC0415

    clock, stop = SystemClock(), StopSignal()
    with (
        stop_on_signals(stop),
        build_progress(sys.stderr, json_output=as_json, log=logger(), clock=clock) as progress,
    ):
        async with open_runtime(
            settings,
            credentials,
            clock=clock,
            rng=random.SystemRandom(),
            progress=progress,
            stop=stop,
        ) as runtime:
            yield runtime
