"""
The command demo.

Owns the order of the demo and how it ends. The first signal ends it at once; further ones change
nothing, because putting everything away takes a moment, and a server left behind would stay.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncer.cli.frame import Invocation, run_async, show_error
from syncer.errors import ExitCode, Interrupted, Stopped, StoreUnavailable

if TYPE_CHECKING:
    from syncer.cli.demo_screen import Screen
    from syncer.crawl import StopSignal
    from syncer.demo import Story
    from syncer.domain import Clock

FEWEST_MODELS = 10
"""The story changes three, and is about the others, too."""
MOST_MODELS = 100_000
"""They are made before anything can be seen, in this process's memory."""


@click.command(
    epilog="""\b
    Examples:
      syncer demo
      syncer demo --models 20000 --keep""",
)
@click.option(
    "--models",
    type=click.IntRange(FEWEST_MODELS, MOST_MODELS),
    default=3000,
    show_default=True,
    help="Simulated models to begin with.",
)
@click.option(
    "--keep", is_flag=True, help="Leave the database running, and say how to open a psql on it."
)
@click.pass_obj
def demo(invocation: Invocation, models: int, keep: bool) -> None:  # noqa: FBT001 - click passes by name
    """Show the whole thing: no credentials, no database, no network.

    A simulated source and an embedded PostgreSQL are started, the one is mirrored into the other,
    models change, appear and vanish, and both sides are compared. Your configuration is not read.
    Leaves nothing behind, and removes what an earlier --keep left. Exit code 0 means that mirror
    and source were equal at the end.
    """
    # A proxy that is configured for the network must not be asked for a source on the loopback.
    os.environ["no_proxy"] = "*"
    run_async(lambda: _until_signal(invocation, models=models, keep=keep))


async def _until_signal(invocation: Invocation, *, models: int, keep: bool) -> ExitCode:
    """The demo; a signal cancels it and is the reason of its end."""
    import asyncio  # noqa: PLC0415 - start-up time

    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.crawl import StopSignal  # noqa: PLC0415

    stop = StopSignal()

    async def watch() -> None:
        await stop.wait()
        stop.check()

    with _signals_set(stop):
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(), name="signals")
            code = await _tell(invocation, SystemClock(), models=models, keep=keep)
            watching.cancel()
    return code


@contextlib.contextmanager
def _signals_set(stop: StopSignal) -> Iterator[None]:
    import asyncio  # noqa: PLC0415 - start-up time

    hint = "Nothing was left behind; 'syncer demo' starts from the beginning."
    reasons = {
        signal.SIGINT: Interrupted("the demo was interrupted", hint=hint),
        signal.SIGTERM: Stopped("the demo was stopped by SIGTERM", hint=hint),
        signal.SIGHUP: Stopped("the demo was stopped: its terminal is gone", hint=hint),
    }
    loop = asyncio.get_running_loop()
    for signum, reason in reasons.items():
        loop.add_signal_handler(signum, stop.set, reason)
    try:
        yield
    finally:
        for signum in reasons:
            loop.remove_signal_handler(signum)


async def _tell(invocation: Invocation, clock: Clock, *, models: int, keep: bool) -> ExitCode:
    """Open the place, tell the story, put the place away."""
    from syncer.cli.demo_screen import Screen  # noqa: PLC0415
    from syncer.config import default_data_dir  # noqa: PLC0415
    from syncer.database import open_reader  # noqa: PLC0415
    from syncer.demo import Story, open_place, quiet_settings  # noqa: PLC0415

    invocation.start_logging(quiet_settings())
    # The user's own directory, also as root: /var/lib/syncer is for a service.
    kept_dir = default_data_dir(is_root=False) / "demo"
    screen, began_s = Screen(), clock.monotonic()
    screen.title(models)
    if not keep:
        await _discard(screen, kept_dir, clock)
    screen.headline("A source and a database")
    async with (
        open_place(models, clock=clock, kept_dir=kept_dir if keep else None) as place,
        open_reader(place.settings, place.server.dsn) as connection,
    ):
        version = str(await connection.fetchval("SHOW server_version"))
        screen.opened(place, version, clock.monotonic() - began_s)
        story = Story(place, connection, clock, random.SystemRandom())
        agrees = await _tell_story(story, screen)
        screen.next_steps()
        psql = place.server.psql
    if keep:
        screen.kept(psql)
    screen.ended(clock.monotonic() - began_s, kept=keep)
    return ExitCode.OK if agrees else ExitCode.BUG


async def _tell_story(story: Story, screen: Screen) -> bool:
    """All the steps; whether mirror and source were equal at the end."""
    from syncer.progress import build_progress  # noqa: PLC0415
    from syncer.telemetry import logger  # noqa: PLC0415

    screen.headline("Backfill")
    with build_progress(sys.stderr, json_output=False, log=logger(), clock=story.clock) as bars:
        filled = await story.backfill(bars)
    screen.filled(filled)
    screen.headline("Follow changes")
    screen.followed(await story.follow())
    screen.polled(await story.poll())
    screen.headline("New models, one of an unknown type, one broken")
    screen.added(await story.add())
    screen.headline("Sweep")
    screen.swept(await story.sweep())
    screen.headline("Proof")
    comparison = await story.prove()
    screen.proved(comparison)
    screen.headline("Questions for SQL")
    screen.answered(await story.ask())
    screen.headline("What 'syncer status' shows")
    screen.status(await story.read_status())
    screen.headline("Next: the real catalog")
    return comparison.agrees


async def _discard(screen: Screen, kept_dir: Path, clock: Clock) -> None:
    """Remove what an earlier demo kept; if it is in use, say so and leave it there."""
    from syncer.demo import discard_kept  # noqa: PLC0415

    try:
        if await discard_kept(kept_dir, clock=clock):
            screen.discarded(kept_dir)
    except StoreUnavailable as error:
        show_error(error)
