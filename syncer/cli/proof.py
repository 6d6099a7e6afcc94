"""
Commands that compare: sweep, verify.

Kind: conductor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from syncer.cli.frame import Invocation, print_json, run_async, show_error, show_open
from syncer.cli.opened import opened
from syncer.cli.work import run_job_command
from syncer.errors import ExitCode

if TYPE_CHECKING:
    from syncer.proof import Verified

SHOWN_EXAMPLES = 5
"""Ids of each kind of difference that are printed; ``--json`` has them all."""

_CATALOG = click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")


@click.command(
    epilog="""\b
    Examples:
      syncer sweep --dry-run
      syncer sweep --catalog public --allow-removals 120"""
)
@_CATALOG
@click.option(
    "--allow-removals",
    type=click.IntRange(min=0),
    metavar="N",
    help="Let at most N removals pass this once, whatever max_removed_fraction says; "
    "if there are more, none is made.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, change nothing.")
@_JSON
@click.pass_obj
def sweep(
    invocation: Invocation,
    catalogs: tuple[str, ...],
    allow_removals: int | None,
    dry_run: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Compare everything with the source once: removals, silent edits, what else was overlooked."""
    from syncer.jobs import Job, SweepJob  # noqa: PLC0415

    if dry_run:
        run_async(lambda: _preview(invocation, catalogs, allow_removals, as_json=as_json))
    job = Job(follow=False, sweep=SweepJob(allow_removals=allow_removals))
    run_async(lambda: run_job_command(invocation, catalogs, job, as_json=as_json))


@click.command(
    epilog="""\b
    Examples:
      syncer verify
      syncer verify --catalog public --repair
      syncer verify --json | jq '.catalogs[].missing'"""
)
@_CATALOG
@click.option("--repair", is_flag=True, help="Mend what differs; removals pass through the guard.")
@_JSON
@click.pass_obj
def verify(
    invocation: Invocation,
    catalogs: tuple[str, ...],
    repair: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Compare the mirror with the source, model by model; 5 if they differ."""
    run_async(lambda: _verify(invocation, catalogs, repair=repair, as_json=as_json))


async def _verify(
    invocation: Invocation, names: tuple[str, ...], *, repair: bool, as_json: bool
) -> ExitCode:
    from syncer.outcome import exit_code_of  # noqa: PLC0415
    from syncer.proof import verify_catalogs  # noqa: PLC0415
    from syncer.store.catalogs import CatalogStore  # noqa: PLC0415

    async with opened(invocation, names, as_json=as_json) as (runtime, catalogs):
        results = await verify_catalogs(runtime, catalogs, repair=repair)
        store = CatalogStore(runtime.pool, runtime.queries)
        aside, _ = await store.count_open([catalog.name for catalog in catalogs])
    if as_json:
        print_json({"catalogs": [_document(result) for result in results]})
    else:
        for result in results:
            _print_verified(result)
        show_open(aside, 0)
    codes = {code for result in results for code in result.exit_codes}
    return exit_code_of(codes | ({ExitCode.NOT_ALL_WELL} if aside else set()))


async def _preview(
    invocation: Invocation, names: tuple[str, ...], allowed: int | None, *, as_json: bool
) -> ExitCode:
    from syncer.outcome import exit_code_of  # noqa: PLC0415
    from syncer.proof import preview_sweeps  # noqa: PLC0415

    async with opened(invocation, names, as_json=as_json) as (runtime, catalogs):
        previews = await preview_sweeps(runtime, catalogs, allowed=allowed)
    if as_json:
        documents = [_document(each) | {"held_back": why} for each, why in previews]
        print_json({"catalogs": documents})
    codes: set[ExitCode] = set()
    for result, held_back in previews:
        if not as_json:
            _print_preview(result, held_back)
        if result.error is not None:
            codes.add(result.error.exit_code)
        elif held_back is not None:
            codes.add(ExitCode.NOT_ALL_WELL)
    return exit_code_of(codes)


def _document(result: Verified) -> dict[str, Any]:
    comparison = result.comparison
    error = result.error
    ids = {} if comparison is None else comparison.ids
    return {
        "name": result.catalog,
        "source_models": None if comparison is None else comparison.source_models,
        "mirror_models": None if comparison is None else comparison.absences.live,
        "missing": ids.get("missing", []),
        "extra": ids.get("extra", []),
        "stale": ids.get("stale", []),
        "repaired": result.repaired,
        "error": None if error is None else {"message": error.message, "hint": error.hint},
    }


def _print_verified(result: Verified) -> None:
    comparison = result.comparison
    if comparison is not None:
        equal = "the mirror equals the source" if comparison.is_equal else "they differ"
        repaired = f"; {result.repaired} repaired" if result.repaired else ""
        click.echo(
            f"{result.catalog}: {comparison.source_models} models at the source, "
            f"{comparison.absences.live} in the mirror: {equal}{repaired}"
        )
        for how, ids in comparison.ids.items():
            _print_examples(how, ids)
        if not comparison.is_equal and not result.repaired:
            click.echo("  'syncer verify --repair' mends it; 'syncer sync' may do as well")
    if result.error is not None:
        show_error(result.error, of=result.catalog)


def _print_preview(result: Verified, held_back: str | None) -> None:
    if result.comparison is None:
        if result.error is not None:
            show_error(result.error, of=result.catalog)
        return
    ids = result.comparison.ids
    click.echo(
        f"{result.catalog}: a sweep would add {len(ids['missing'])}, update {len(ids['stale'])} "
        f"and remove {len(ids['extra'])} models"
    )
    for how, examples in ids.items():
        _print_examples(how, examples)
    if held_back is not None:
        click.echo(f"  the removals would wait: {held_back}")


def _print_examples(how: str, ids: list[str]) -> None:
    if ids:
        more = f" and {len(ids) - SHOWN_EXAMPLES} more" if len(ids) > SHOWN_EXAMPLES else ""
        click.echo(f"  {len(ids)} {how}: {', '.join(ids[:SHOWN_EXAMPLES])}{more}")
