"""
The command line: the only place that prints or exits.

Owns the names of commands and options (public contract, DESIGN §3). Modules of the crawler are
imported inside the commands, so that ``--help`` answers at once.
Kind: conductor.
"""

from __future__ import annotations

import click

from syncer import __version__
from syncer.cli.changes import changes
from syncer.cli.checkup import check
from syncer.cli.demo import demo
from syncer.cli.forget import forget
from syncer.cli.frame import Invocation, Program
from syncer.cli.look import quarantine, status
from syncer.cli.place import init, migrate, simulate
from syncer.cli.proof import sweep, verify
from syncer.cli.work import backfill, run, sync


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it without credentials or a database: syncer demo",
)
@click.version_option(__version__, prog_name="syncer")
@click.option(
    "--config",
    metavar="FILE",
    help="Configuration file; else $SYNCER_CONFIG, ./config.toml, /etc/syncer/config.toml, "
    "else built-in defaults.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "console"]),
    help="auto: JSON unless stderr is a terminal.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"]),
    help="Overrides log.level of the configuration.",
)
@click.pass_context
def main(
    context: click.Context, config: str | None, log_format: str | None, log_level: str | None
) -> None:
    """Keep a faithful, always-current copy of the Scenario model catalog in PostgreSQL."""
    context.obj = Invocation(config, log_format, log_level)


for command in (
    demo,
    init,
    check,
    migrate,
    backfill,
    sync,
    sweep,
    verify,
    status,
    changes,
    quarantine,
    forget,
    run,
    simulate,
):
    main.add_command(command)
