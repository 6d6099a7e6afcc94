"""
The command that removes: forget.

Owns the question to the person at the terminal. Nothing is removed without its answer or ``--yes``.
Kind: conductor.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from syncer.cli.frame import Invocation, fail, result_of, run_async
from syncer.cli.opened import opened_with
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.forget import RetiredCatalog


@click.command(
    epilog="""\b
    Examples:
      syncer forget old_catalog
      syncer forget old_catalog --yes   # in a script""",
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask; needed where stdin is no terminal.")
@click.pass_obj
def forget(invocation: Invocation, name: str, yes: bool) -> None:  # noqa: FBT001 - click's
    """Remove a retired catalog's rows for good, after confirmation.

    NAME must be gone from the configuration. You are told what will go and asked to type yes; with
    any other answer nothing is removed, and the exit code is 0. An interrupted run keeps the
    catalog retired: run it again to go on. Other catalogs are not touched. A catalog of the same
    name that is configured later starts from nothing.
    """
    settings, catalog = result_of(lambda: _find(invocation, name))
    if not yes:
        _require_terminal(name)
        if not _confirm(catalog):
            click.echo("nothing was removed: the answer was not 'yes'")
            return
    run_async(lambda: _forget(settings, catalog))


async def _find(invocation: Invocation, name: str) -> tuple[Settings, RetiredCatalog]:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.forget import find_retired  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    return settings, await find_retired(settings, name, SystemClock())


def _require_terminal(name: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        fail(
            ConfigError(
                "nobody can be asked: standard input is not a terminal; nothing was removed",
                hint=f"Run it at a terminal, or 'syncer forget {name} --yes' if you are sure.",
            )
        )


def _confirm(catalog: RetiredCatalog) -> bool:
    """Ask on stderr, so that the question is seen although stdout goes elsewhere.

    Not inside a coroutine: an interrupt would wait there for the end of the line.
    """
    click.echo(f"This removes catalog '{catalog.name}' from the database for good:", err=True)
    count = catalog.count
    click.echo(
        f"  {count.live_models:,} live and {count.removed_models:,} removed models, "
        f"{count.quarantined_models:,} in quarantine",
        err=True,
    )
    click.echo(f"  {_since_when(catalog)}", err=True)
    click.echo("Type 'yes' to remove it: ", nl=False, err=True)
    answer = sys.stdin.buffer.readline()
    if not answer.endswith(b"\n"):
        click.echo(err=True)
    return answer.strip().lower() == b"yes"


def _since_when(catalog: RetiredCatalog) -> str:
    if catalog.retired_at is not None:
        return f"retired since {catalog.retired_at:%Y-%m-%d %H:%M} UTC"
    last = catalog.last_complete_at
    return (
        "gone from this configuration, but no process has retired it yet; last complete cycle: "
        + (f"{last:%Y-%m-%d %H:%M} UTC" if last else "none")
    )


async def _forget(settings: Settings, catalog: RetiredCatalog) -> ExitCode:
    from syncer.config import AuthKind, Credentials  # noqa: PLC0415
    from syncer.forget import forget_catalog  # noqa: PLC0415

    # The source is not asked, so nobody has to be able to log in to it.
    async with opened_with(settings, Credentials(AuthKind.PUBLIC)) as runtime:
        gone = await forget_catalog(runtime, catalog)
    click.echo(
        f"forgot {catalog.name}: {gone.models:,} models, {gone.changes:,} changes, "
        f"{gone.quarantined_models:,} in quarantine and {gone.cycles:,} cycles removed"
    )
    return ExitCode.OK
