"""
The command that follows: changes.

Owns how a change is printed. Never decides which one comes next.
Kind: conductor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from syncer.cli.frame import Invocation, run_async
from syncer.errors import ExitCode, Stopped

if TYPE_CHECKING:
    from syncer.following import Wanted
    from syncer.store.following import Change

LONGEST_VALUE = 40
"""Characters of a value that are shown to people; ``--json`` has it whole."""

LARGEST_ID = 2**63 - 1

CHANGE_COLUMNS = {
    "change_id": "int8",
    "catalog": "text",
    "id": "text",
    "operation": "text",
    "changed_fields": "text[]",
    "before": "jsonb",
    "after": "jsonb",
    "source_updated_at": "timestamptz",
    "committed_at": "timestamptz",
}
"""What stands in a line of ``--json``, with PostgreSQL's types."""


@click.command(
    epilog="""\b
    Examples:
      syncer changes --limit 20
      syncer changes --follow --json --after 4711 | while read -r change; do …; done

    \b
    A consumer keeps the change_id of the last line it has dealt with and begins there the next
    time (--after): it may see a line twice and misses none.""",
)
@click.option(
    "--after",
    type=click.IntRange(0, LARGEST_ID),
    metavar="ID",
    help="Only changes after this change_id; default: from the oldest that is kept.",
)
@click.option("--follow", is_flag=True, help="Wait for more, until a signal says stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="End after so many changes.")
@click.pass_obj
def changes(
    invocation: Invocation,
    after: int | None,
    follow: bool,  # noqa: FBT001 - click passes by name
    as_json: bool,  # noqa: FBT001 - click passes by name
    catalogs: tuple[str, ...],
    limit: int | None,
) -> None:
    """Print what happened to each model: inserted, updated, removed, restored, in order.

    Reads scenario.model_changes and needs no right but to read schema scenario. With --follow it
    waits for notifications, outlives restarts of the database, and ends by a signal (130 or 143).
    """
    from syncer.following import Wanted  # noqa: PLC0415 - start-up time

    wanted = Wanted(after, catalogs, limit, is_followed=follow)
    run_async(lambda: _changes(invocation, wanted, as_json=as_json))


async def _changes(invocation: Invocation, wanted: Wanted, *, as_json: bool) -> ExitCode:
    import random  # noqa: PLC0415 - start-up time

    from syncer.cli.outlet import Outlet, OutletClosed  # noqa: PLC0415
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.following import Follower, Receiver  # noqa: PLC0415
    from syncer.reading import find_database  # noqa: PLC0415
    from syncer.shutdown import cancel_on_signals  # noqa: PLC0415

    settings, clock = invocation.settings(), SystemClock()
    invocation.start_logging(settings)
    try:
        outlet = Outlet()
        write = _json_line() if as_json else _line_for_people

        async def take(change: Change) -> None:
            await outlet.write(write(change))

        with cancel_on_signals(hint="Go on with --after and the last change_id that was printed."):
            async with find_database(settings, clock) as database:
                await Follower(
                    settings,
                    database.url,
                    wanted=wanted,
                    receiver=Receiver(take, outlet.check),
                    clock=clock,
                    rng=random.SystemRandom(),
                ).run()
    except OutletClosed:
        # As with head: whoever read has what it wanted.
        return ExitCode.OK
    except Stopped as stopped:
        if not wanted.is_followed:
            raise
        # A signal is how following ends; there is nothing to explain.
        return stopped.exit_code
    return ExitCode.OK


def _json_line() -> Callable[[Change], bytes]:
    from syncer.formats import json_lines  # noqa: PLC0415
    from syncer.store.answering import Column  # noqa: PLC0415

    encode = json_lines([Column(name, type_) for name, type_ in CHANGE_COLUMNS.items()])

    def write(change: Change) -> bytes:
        return encode([[getattr(change, name) for name in CHANGE_COLUMNS]])

    return write


def _line_for_people(change: Change) -> bytes:
    from syncer.attention import plain  # noqa: PLC0415

    before, after = (json.loads(side or b"{}") for side in (change.before, change.after))
    fields = [_field(name, before, after) for name in change.changed_fields or ()]
    line = (
        f"{change.change_id:>8}  {change.committed_at:%Y-%m-%d %H:%M:%S}  {change.operation:<7}  "
        f"{plain(change.catalog)}  {plain(change.id)}  {plain(', '.join(fields))}"
    )
    return f"{line.rstrip()}\n".encode()


def _field(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """The name, and both values where they are short."""
    sides = [_short(side.get(name)) if name in side else "nothing" for side in (before, after)]
    return f"{name} {' -> '.join(map(str, sides))}" if all(sides) else name


def _short(value: object) -> str | None:
    if isinstance(value, dict | list):
        return None
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else None
