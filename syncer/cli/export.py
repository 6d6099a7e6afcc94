"""
The commands that take something away: export, sql.

Owns where it goes and what is said beside it. Never decides what a row looks like.
Kind: conductor.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncer.cli.changes import LARGEST_ID
from syncer.cli.frame import Invocation, run_async
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.export import Export
    from syncer.store.answering import Column

STDOUT = "-"
TOLD_EACH = 10_000
"""Rows between two words of how far it is."""

PSQL_LOST = 2
"""psql's exit code when the connection cannot be made, or broke."""


def _instant(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time; write 2026-11-01 or 2026-11-01T12:00:00Z"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


@click.command(
    epilog="""\b
    Examples:
      syncer export --format parquet --output models.parquet
      syncer export --format csv > models.csv
      syncer export --format jsonl --since 2026-11-01 | jq .name
      syncer export --format jsonl --after 4711 > what-is-new.jsonl

    \b
    Whoever keeps a copy exports once, and then again and again --after the number that the last
    export has said at its end (on standard error): no change is missed, whatever a clock says.
    After a backup was restored, or a catalog was retired or forgotten: export everything.""",
)
@click.option(
    "--format",
    "name",
    type=click.Choice(["parquet", "jsonl", "csv"]),
    required=True,
    help="As what.",
)
@click.option(
    "--output",
    default=STDOUT,
    metavar="FILE",
    help="Appears when it is complete; default: standard output (not for parquet).",
)
@click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
@click.option(
    "--since",
    callback=_instant,
    metavar="TIME",
    help="Only what changed in this mirror since, removed models (removed_at) included; UTC unless "
    "it says otherwise. What was being written at that time may count as earlier: see --after.",
)
@click.option(
    "--after",
    type=click.IntRange(0, LARGEST_ID),
    metavar="ID",
    help="Only what has a change after this change_id, removed models included.",
)
@click.pass_obj
def export(
    invocation: Invocation,
    name: str,
    output: str,
    catalogs: tuple[str, ...],
    since: datetime | None,
    after: int | None,
) -> None:
    """Write the live models to a file or to standard output: one consistent moment, any size.

    Needs no right but to read schema scenario. parquet needs 'syncer[parquet]'.
    """
    if name == "parquet" and output == STDOUT:
        raise click.UsageError("parquet is written to a file: name it with --output.")
    if since is not None and after is not None:
        raise click.UsageError("--since and --after are two ways to say the same: give one.")
    from syncer.export import Export, Format  # noqa: PLC0415

    wanted = Export(Format(name), catalogs, since, after)
    run_async(lambda: _export(invocation, wanted, output))


async def _export(invocation: Invocation, wanted: Export, output: str) -> ExitCode:
    from syncer.cli.outlet import Outlet, OutletClosed  # noqa: PLC0415
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.export import export_models  # noqa: PLC0415
    from syncer.shutdown import cancel_on_signals  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        if count - told >= TOLD_EACH:
            told = count
            click.echo(f"{count:,} models", err=True)

    try:
        target = Outlet().write if output == STDOUT else Path(output)
        with cancel_on_signals(hint="Run it again; no half file was left."):
            done = await export_models(settings, SystemClock(), wanted, target=target, tell=tell)
    except OutletClosed:
        # Whoever read may have what it wanted, as head has; but success means complete.
        click.echo("not everything was exported: standard output was closed", err=True)
        return ExitCode.NOT_ALL_WELL
    following = "" if done.newest_id is None else f"; the next time: --after {done.newest_id}"
    click.echo(f"{done.models:,} models exported{following}", err=True)
    return ExitCode.OK


@click.command(
    epilog="""\b
    Examples:
      syncer sql
      syncer sql "SELECT type, count(*) FROM live_models GROUP BY type"
      syncer sql --json - < question.sql""",
)
@click.argument("statement", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@click.pass_obj
def sql(invocation: Invocation, statement: str | None, as_json: bool) -> None:  # noqa: FBT001 - click
    """Open psql on the mirror, or answer one STATEMENT ('-' reads it from standard input).

    Both only read, unless psql is told otherwise (SET default_transaction_read_only = off); a
    statement that asks for no rows is not run. Names are looked up in schema scenario.
    """
    if statement is None and as_json:
        raise click.UsageError("--json goes with a statement.")
    text = sys.stdin.read() if statement == STDOUT else statement
    run_async(
        lambda: _psql(invocation) if text is None else _answer(invocation, text, as_json=as_json)
    )


async def _answer(invocation: Invocation, statement: str, *, as_json: bool) -> ExitCode:
    from syncer.cli.outlet import Outlet, OutletClosed  # noqa: PLC0415
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.export import reading_session  # noqa: PLC0415
    from syncer.formats import json_lines, table_lines  # noqa: PLC0415
    from syncer.shutdown import cancel_on_signals  # noqa: PLC0415
    from syncer.store.answering import open_answer, show_as_written  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    count = 0
    try:
        outlet = Outlet()
        with cancel_on_signals(hint="Ask again, or for less."):
            async with reading_session(settings, SystemClock()) as connection:
                await show_as_written(connection)
                async with open_answer(connection, statement, by_user=True) as answer:
                    if as_json:
                        _require_names(answer.columns)
                    encode = (json_lines if as_json else table_lines)(answer.columns)
                    async for rows in answer.batches:
                        await outlet.write(encode(rows))
                        count += len(rows)
                    if not count:
                        await outlet.write(encode([]))
    except OutletClosed:
        return ExitCode.OK
    if not as_json:
        click.echo(f"({count:,} row{'' if count == 1 else 's'})", err=True)
    return ExitCode.OK


def _require_names(columns: Sequence[Column]) -> None:
    """An object has one value of a name; the others would be lost without a word."""
    counted = Counter(column.name for column in columns)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise ConfigError(
            f"several columns are called {', '.join(twice)}, and an object has one value of a name",
            hint="Give each a name of its own: … AS name.",
        )


async def _psql(invocation: Invocation) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.psql import open_psql  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    code = await open_psql(settings, SystemClock())
    # What psql has said it has said by itself.
    return {0: ExitCode.OK, PSQL_LOST: ExitCode.UNAVAILABLE}.get(code, ExitCode.USAGE)
