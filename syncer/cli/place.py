"""
Commands that prepare a place: init, migrate, simulate.

Kind: conductor.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncer.cli.frame import Invocation, fail, guard, run_async
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.config import Settings


@click.command(
    epilog="""\b
    Example:
      syncer init /etc/syncer/config.toml""",
)
@click.argument("path", default="config.toml", type=click.Path(path_type=Path))
def init(path: Path) -> None:
    """Write a commented config.toml; never overwrites."""

    def write() -> None:
        from syncer.config import example_config  # noqa: PLC0415

        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(example_config())
        except FileExistsError:
            raise ConfigError(
                f"{path} exists and is not overwritten", hint="Name another file, or move it away."
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written: {error.strerror}", hint="Name another place."
            ) from error
        click.echo(f"Wrote {path}. Next: syncer --config {path} check")

    guard(write)


@click.command(
    epilog="""\b
    Examples:
      syncer migrate --dry-run
      syncer migrate --reader-role scenario_reader

    \b
    A reader role is a group that nobody logs in as. Make a login for each tool or person and
    let it read, as an administrator:
      CREATE ROLE metabase LOGIN PASSWORD '…';
      GRANT scenario_reader TO metabase;""",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--reader-role",
    metavar="NAME",
    help="Let this role read schema scenario and nothing else; created (NOLOGIN) if missing.",
)
@click.pass_obj
def migrate(
    invocation: Invocation,
    dry_run: bool,  # noqa: FBT001 - click passes by name
    reader_role: str | None,
) -> None:
    """Bring the database schema up to date, and let others read it."""
    run_async(lambda: _migrate(invocation, dry_run=dry_run, reader_role=reader_role))


async def _migrate(invocation: Invocation, *, dry_run: bool, reader_role: str | None) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.database import migrate_database, open_database, open_reader  # noqa: PLC0415
    from syncer.store.migrate import read_state  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    async with open_database(settings, clock=SystemClock()) as database:
        if dry_run:
            async with open_reader(settings, database.url) as connection:
                state = await read_state(connection)
            for migration in state.pending:
                click.echo(f"would apply {migration.label}")
            click.echo(f"{len(state.pending)} pending, {len(state.applied)} applied")
        else:
            applied = await migrate_database(settings, database.url)
            for label in applied:
                click.echo(f"applied {label}")
            click.echo(f"{len(applied)} applied; the schema is up to date")
        if reader_role is not None:
            await _admit(settings, database.url, reader_role, dry_run=dry_run)
    return ExitCode.OK


async def _admit(settings: Settings, url: str, role: str, *, dry_run: bool) -> None:
    from syncer.database import admit_reader  # noqa: PLC0415

    grants = await admit_reader(settings, url, role, dry_run=dry_run)
    for statement in grants.statements:
        click.echo(f"{'would run' if dry_run else 'ran'} {statement}")
    if dry_run and grants.statements:
        return
    click.echo(
        f"role {grants.quoted} can read schema scenario; "
        f"for a login: GRANT {grants.quoted} TO that_login"
    )


@click.command(
    epilog="""\b
    Example, with the second line in another terminal:
      syncer simulate --models 5000 --rate-per-minute 100
      SYNCER_SOURCE__BASE_URL=http://127.0.0.1:PORT/v1 syncer sync"""
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free port.")
@click.option("--models", type=click.IntRange(min=0), default=700, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same models.")
@click.option(
    "--rate-per-minute", type=click.IntRange(min=1), help="Answer 429 beyond; default: no limit."
)
@click.option("--latency-ms", type=click.FloatRange(min=0), default=0.0, show_default=True)
@click.option(
    "--churn-per-minute",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Models that change, appear or vanish.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME",
    help="NAME, NAME:COUNT or NAME:PERCENT%; may be repeated; 'list' explains them.",
)
def simulate(
    port: int,
    models: int,
    seed: int,
    rate_per_minute: int | None,
    latency_ms: float,
    churn_per_minute: float,
    faults: tuple[str, ...],
) -> None:
    """Serve a simulated source: every documented rule and every observed quirk of the API."""
    from syncer.simulator import FAULTS, SimulatedSource, SimulatorOptions  # noqa: PLC0415

    if "list" in faults:
        for name, what in FAULTS.items():
            click.echo(f"{name:28} {what}")
        return
    options = SimulatorOptions(
        models=models,
        seed=seed,
        rate_per_minute=rate_per_minute,
        latency_ms=latency_ms,
        churn_per_minute=churn_per_minute,
        faults=faults,
    )
    try:
        source = SimulatedSource(options)
    except ValueError as error:
        fail(ConfigError(str(error), hint="'syncer simulate --fault list' explains each."))

    async def serve() -> ExitCode:
        import asyncio  # noqa: PLC0415 - start-up time

        asked_to_stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, asked_to_stop.set)
        try:
            async with source.serve(host="127.0.0.1", port=port) as base_url:
                click.echo(f"{models} models at {base_url}")
                click.echo(f"  SYNCER_SOURCE__BASE_URL={base_url} syncer sync")
                await asked_to_stop.wait()
        except OSError as error:
            raise ConfigError(
                f"port {port} cannot be used: {error.strerror}", hint="Name another --port, or 0."
            ) from error
        return ExitCode.OK

    run_async(serve)
