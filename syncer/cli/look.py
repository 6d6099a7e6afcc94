"""
Commands that look: status, quarantine.

Kind: conductor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from syncer.cli.frame import Invocation, fail, pick_catalogs, print_json, run_async
from syncer.cli.opened import opened
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.store.status import QuarantineRow

_JSON = click.option("--json", "as_json", is_flag=True, help="The document as JSON on stdout.")
_CATALOG = click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)


def _check_ids(
    _context: click.Context, _parameter: click.Parameter, ids: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse what PostgreSQL could not even compare: bytes that are not UTF-8, or NUL."""
    for key in ids:
        if "\0" in key or not _is_text(key):
            fail(
                ConfigError(
                    f"'{key.encode('unicode_escape').decode()}' cannot be the id of a model: "
                    "PostgreSQL takes UTF-8 without NUL",
                    hint="'syncer quarantine list' shows the ids there are.",
                )
            )
    return ids


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.command(
    epilog="""\b
    Example:
      syncer status --json | jq '.catalogs[].live_models'""",
)
@_JSON
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> None:  # noqa: FBT001 - click passes by name
    """Show the state of catalogs and partitions; works while the daemon runs."""
    run_async(lambda: _status(invocation, as_json=as_json))


async def _status(invocation: Invocation, *, as_json: bool) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.reading import read_status_document  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    document = await read_status_document(settings, SystemClock())
    if as_json:
        print_json(document)
    else:
        from syncer.cli.tables import print_status  # noqa: PLC0415

        print_status(document)
    return ExitCode.OK


@click.group(
    epilog="""\b
    Example:
      syncer quarantine list --catalog public""",
)
def quarantine() -> None:
    """Models that the source lists and that cannot be stored."""


@quarantine.command(
    "list",
    epilog="""\b
    Example:
      syncer quarantine list --json model_abc""",
)
@_CATALOG
@_JSON
@click.argument("ids", nargs=-1, callback=_check_ids)
@click.pass_obj
def list_(
    invocation: Invocation,
    catalogs: tuple[str, ...],
    ids: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click passes by name
) -> None:
    """Show quarantined models with their reasons."""
    run_async(lambda: _list(invocation, catalogs, ids, as_json=as_json))


@quarantine.command(
    epilog="""\b
    Example:
      syncer quarantine retry""",
)
@_CATALOG
@click.argument("ids", nargs=-1, callback=_check_ids)
@click.pass_obj
def retry(invocation: Invocation, catalogs: tuple[str, ...], ids: tuple[str, ...]) -> None:
    """Ask the source again for quarantined models (all, or the given ids)."""
    run_async(lambda: _retry(invocation, catalogs, ids))


@quarantine.command(
    epilog="""\b
    Example:
      syncer quarantine dismiss --catalog public model_abc""",
)
@_CATALOG
@click.argument("ids", nargs=-1, required=True, callback=_check_ids)
@click.pass_obj
def dismiss(invocation: Invocation, catalogs: tuple[str, ...], ids: tuple[str, ...]) -> None:
    """Silence models until their content changes."""
    run_async(lambda: _dismiss(invocation, catalogs, ids))


async def _list(
    invocation: Invocation, catalogs: tuple[str, ...], ids: tuple[str, ...], *, as_json: bool
) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.reading import read_quarantine  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    names = [catalog.name for catalog in pick_catalogs(settings, catalogs)]
    rows = await read_quarantine(settings, SystemClock(), catalogs=names, keys=ids)
    if as_json:
        print_json({"models": [_row_document(row) for row in rows]})
        return ExitCode.OK
    for row in rows:
        silenced = " (dismissed)" if row.dismissed else ""
        click.echo(f"{row.catalog}  {row.key}{silenced}")
        click.echo(f"  {row.reason}; since {row.first_seen_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"{sum(not row.dismissed for row in rows)} open, {len(rows)} in all")
    return ExitCode.OK


def _row_document(row: QuarantineRow) -> dict[str, Any]:
    from syncer.domain import format_millis, to_millis  # noqa: PLC0415

    return {
        "catalog": row.catalog,
        "id": row.key,
        "reason": row.reason,
        "dismissed": row.dismissed,
        "first_seen_at": format_millis(to_millis(row.first_seen_at)),
        "changed_at": format_millis(to_millis(row.changed_at)),
        "raw": row.raw.decode("utf-8", "replace"),
    }


async def _retry(invocation: Invocation, names: tuple[str, ...], ids: tuple[str, ...]) -> ExitCode:
    from syncer.outcome import exit_code_of  # noqa: PLC0415
    from syncer.retry_models import retry_quarantine  # noqa: PLC0415

    async with opened(invocation, names) as (runtime, catalogs):
        result = await retry_quarantine(runtime, catalogs, ids)
    click.echo(f"{result.asked} asked again, {result.cleared} readable now, {result.left} left")
    for key in result.unplaced:
        click.echo(
            f"  {key} has no readable createdAt and cannot be asked for alone: "
            "'syncer backfill --restart' reads everything again"
        )
    _refuse_unknown(result.unknown)
    codes = result.exit_codes | ({ExitCode.NOT_ALL_WELL} if result.left else set())
    return exit_code_of(codes)


async def _dismiss(
    invocation: Invocation, catalogs: tuple[str, ...], ids: tuple[str, ...]
) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.reading import dismiss_models  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    names = [catalog.name for catalog in pick_catalogs(settings, catalogs)]
    found = await dismiss_models(settings, SystemClock(), catalogs=names, keys=ids)
    for catalog, key in found:
        click.echo(f"dismissed {key} in {catalog} until its content changes")
    _refuse_unknown(set(ids) - {key for _, key in found})
    return ExitCode.OK


def _refuse_unknown(ids: Iterable[str]) -> None:
    unknown = sorted(ids)
    if unknown:
        raise ConfigError(
            f"not in quarantine: {', '.join(unknown)}",
            hint="'syncer quarantine list' shows what is.",
        )
