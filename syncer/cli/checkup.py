"""
The command check.

Owns the order "configuration first" and how the report looks to people.
Invariant: with a configuration that cannot be used, nothing is sent and nothing is opened.
Kind: conductor.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from syncer.cli.frame import Invocation, print_json, run_async, show_error
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.checkup import CheckReport, DatabaseReport, SourceReport
    from syncer.config import ConfigValue, Credentials, Settings


@click.command(
    epilog="""\b
Examples:
  syncer check
  syncer check --offline
  syncer check --json | jq '.problems'
"""
)
@click.option("--offline", is_flag=True, help="Only the configuration; sends and opens nothing.")
@click.option("--json", "as_json", is_flag=True, help="The document as JSON on stdout.")
@click.pass_obj
def check(invocation: Invocation, offline: bool, as_json: bool) -> None:  # noqa: FBT001 - click
    """Validate the configuration, try the source and the database.

    Sends the source a handful of requests. Makes and migrates no database; what it found out about
    the source is kept in a migrated one, and a later change of it is a warning.
    """
    run_async(lambda: _check(invocation, offline=offline, as_json=as_json))


async def _check(invocation: Invocation, *, offline: bool, as_json: bool) -> ExitCode:
    from syncer.checkup import CheckReport, split_errors, try_out  # noqa: PLC0415 - start-up time
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.config import describe  # noqa: PLC0415

    inputs = _read_inputs(invocation)
    settings, credentials = inputs.settings, inputs.credentials
    report = CheckReport(
        configuration=tuple(describe(settings)) if settings else (),
        config_file=str(settings.path) if settings and settings.path else None,
        credentials=credentials.describe() if credentials else None,
        database=None,
        source=None,
        problems=split_errors(inputs.errors),
        warnings=settings.warnings if settings else (),
    )
    if settings and credentials and not report.problems and not offline:
        # The warnings are in the report; as log lines they would be said twice.
        invocation.start_logging(replace(settings, warnings=()), credentials)
        database, source = await try_out(
            settings, credentials, clock=SystemClock(), rng=random.SystemRandom()
        )
        report = replace(
            report,
            database=database,
            source=source,
            problems=(*database.problems, *source.problems),
            warnings=(*report.warnings, *database.warnings, *source.warnings),
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report, offline=offline)
    return report.exit_code


@dataclass(frozen=True, slots=True)
class _Inputs:
    settings: Settings | None
    credentials: Credentials | None
    errors: tuple[ConfigError, ...]


def _read_inputs(invocation: Invocation) -> _Inputs:
    """Configuration and credentials with everything that is wrong about them."""
    from syncer.config import (  # noqa: PLC0415 - start-up time
        load_credentials,
        require_database,
        validate_credentials,
    )

    settings: Settings | None = None
    credentials: Credentials | None = None
    errors: list[ConfigError] = []
    try:
        settings = invocation.settings()
        require_database(settings)
    except ConfigError as error:
        errors.append(error)
    try:
        credentials = load_credentials(settings.source.auth if settings else "auto", os.environ)
        if settings:
            validate_credentials(settings, credentials)
    except ConfigError as error:
        errors.append(error)
    return _Inputs(settings, credentials, tuple(errors))


def _print_report(report: CheckReport, *, offline: bool) -> None:
    if report.configuration:
        _title(f"Configuration: {report.config_file or 'no file, built-in defaults'}")
        _print_configuration(report.configuration)
    if report.credentials:
        _title("Credentials")
        click.echo(f"  {report.credentials}")
    if report.database:
        _title("Database")
        _print_database(report.database)
    if report.source:
        _title("Source")
        _print_source(report.source)
    if report.warnings:
        _title("Warnings")
    for warning in report.warnings:
        click.secho("  ! ", fg="yellow", nl=False)
        click.echo(_safe(warning))
    for problem in report.problems:
        show_error(problem)
    click.echo()
    _print_next(report, offline=offline)


def _title(text: str) -> None:
    click.secho(text, bold=True)


def _print_configuration(values: Iterable[ConfigValue]) -> None:
    """What somebody set stands out; defaults are dim where the terminal can."""
    values = tuple(values)
    width = max(len(value.key) for value in values)
    for value in values:
        line = f"  {value.key:<{width}}  {value.value_text}  ({value.origin})"
        click.secho(line, dim=value.origin == "default")


def _print_database(report: DatabaseReport) -> None:
    name = "embedded PostgreSQL in " if report.kind == "embedded" else ""
    click.echo(f"  {name}{report.where}")
    if report.server_version is not None:
        lz4 = "with" if report.has_lz4 else "without"
        click.echo(f"  PostgreSQL {report.server_version}, {lz4} lz4")
    at = ""
    if report.needed is not None:
        at = f" (at {report.applied or 0:04d}, this build has {report.needed:04d})"
    click.echo(f"  schema {report.schema}{at}")
    if report.note:
        click.echo(f"  {_safe(report.note)}")


def _print_source(report: SourceReport) -> None:
    from syncer.planner.finding import say_value  # noqa: PLC0415 - start-up time

    click.echo(f"  {report.base_url} ({report.requests} requests)")
    for answer in report.catalogs:
        click.echo(f"  catalog {answer.name}: {answer.outcome}")
    key_width = max((len(finding.key) for finding in report.findings), default=0)
    shown = [_short(say_value(finding.value), finding.value) for finding in report.findings]
    value_width = max(map(len, shown), default=0)
    for finding, value in zip(report.findings, shown, strict=True):
        click.echo(f"  {finding.key:<{key_width}}  {value:<{value_width}}  ", nl=False)
        click.secho(_safe(finding.meaning), dim=True)


def _short(said: str, value: object) -> str:
    """A long list is in --json; a tired reader wants its length."""
    return f"{len(value)} values" if isinstance(value, tuple) and len(value) > 1 else said


def _print_next(report: CheckReport, *, offline: bool) -> None:
    if report.problems:
        count = len(report.problems)
        what = "the problem" if count == 1 else f"the {count} problems"
        click.echo(f"Next: mend {what} above, then run: syncer check")
    elif offline:
        click.echo("Next: syncer check (tries the source and the database, too)")
    elif report.database and report.database.schema in {"current", "ahead"}:
        click.echo("Next: syncer run (keeps the mirror current), or syncer status")
    else:
        click.echo("Next: syncer backfill")


def _safe(text: str) -> str:
    from syncer.api.normalise import redact_text  # noqa: PLC0415 - start-up time

    return redact_text(text)
