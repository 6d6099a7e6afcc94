"""
Commands that crawl: backfill, sync, run.

Kind: conductor.
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from syncer.attention import counted
from syncer.cli.frame import (
    Invocation,
    guard,
    pick_catalogs,
    print_json,
    run_async,
    show_error,
    show_open,
)
from syncer.cli.opened import opened
from syncer.errors import ExitCode, Stopped

if TYPE_CHECKING:
    from syncer.jobs import CatalogResult, Job
    from syncer.oneshot import JobResult, PlannedBackfill

_CATALOG = click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")


_WORDS = {"removals_waiting": "removals waiting"}


class _Seconds(click.FloatRange):
    """More than no time, and less than for ever."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Refuse ``nan``, which is beyond no limit, and ``inf``."""
        seconds = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds; leave it out for no deadline", param, ctx)
        return float(super().convert(value, param, ctx))


@click.command(
    epilog="""\b
    Examples:
      syncer backfill --plan
      syncer backfill --catalog public --deadline 600"""
)
@_CATALOG
@click.option(
    "--deadline",
    type=_Seconds(),
    metavar="SECONDS",
    help="Stop after so long with exit code 7; progress is kept.",
)
@click.option(
    "--restart", is_flag=True, help="Drop pin and checkpoints and fill again; rows are kept."
)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Print partitions and requests, do nothing."
)
@_JSON
@click.pass_obj
def backfill(
    invocation: Invocation,
    catalogs: tuple[str, ...],
    deadline: float | None,
    restart: bool,  # noqa: FBT001 - click passes options by name
    only_plan: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Fill catalogs completely; goes on where an unfinished backfill stopped."""
    from syncer.jobs import Job  # noqa: PLC0415

    if only_plan:
        run_async(lambda: _plan(invocation, catalogs, as_json=as_json))
    job = Job(follow=False, restart=restart, deadline_s=deadline)
    run_async(lambda: run_job_command(invocation, catalogs, job, as_json=as_json))


@click.command(
    epilog="""\b
    Example, for a line of cron:
      syncer --log-format=json sync"""
)
@_CATALOG
@_JSON
@click.pass_obj
def sync(invocation: Invocation, catalogs: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    """Run one cycle, with every backfill that is due: what a cron job runs."""
    from syncer.jobs import Job  # noqa: PLC0415

    run_async(lambda: run_job_command(invocation, catalogs, Job(follow=True), as_json=as_json))


@click.command(
    epilog="""\b
    Example:
      syncer --config=/etc/syncer/config.toml run""",
)
@click.pass_obj
def run(invocation: Invocation) -> None:
    """Follow every catalog until a signal says stop: the daemon."""

    def check_first() -> None:
        invocation.configuration(for_daemon=True)

    guard(check_first)
    run_async(lambda: _run_daemon(invocation))


async def run_job_command(
    invocation: Invocation, names: tuple[str, ...], job: Job, *, as_json: bool
) -> ExitCode:
    """Run a job on some catalogs (none named means all), print what became of it."""
    from syncer.oneshot import run_job  # noqa: PLC0415

    async with opened(invocation, names, as_json=as_json) as (runtime, catalogs):
        result = await run_job(runtime, catalogs, job)
    code = result.exit_code(runtime.stop.reason)
    if as_json:
        print_json(_job_document(result, code))
    else:
        _print_result(result)
    return code


def _print_result(result: JobResult) -> None:
    for catalog in result.catalogs:
        for line in _result_lines(catalog):
            click.echo(line)
        for error in catalog.errors:
            show_error(error, of=catalog.catalog)
    show_open(result.open_quarantine, result.removals_waiting)
    if result.uncounted is not None:
        show_error(result.uncounted)


def _result_lines(result: CatalogResult) -> list[str]:
    cycles = result.document.get("cycles", ())
    lines = [f"{result.catalog}: {_cycle_line(cycle)}" for cycle in cycles]
    if (details := result.document.get("details")) is not None:
        lines.append(
            f"{result.catalog}: details: {details['fetched']} fetched; {details['stored']} stored, "
            f"{details['failed']} set aside, {details['open']} still open"
        )
    if result.carried_out is not None:
        lines.insert(0, f"{result.catalog}: carried out by the process that holds the lease")
    elif not lines and result.error is None:
        lines.append(
            f"{result.catalog}: already filled; 'syncer sync' follows it, "
            "'syncer backfill --restart' fills it again"
        )
    return lines


def _cycle_line(cycle: Mapping[str, Any]) -> str:
    word = "complete" if cycle["complete"] else "not complete"
    rare = ("restored", "removed", "removals_waiting", "rewound", "missed", "quarantined")
    counts = [f"{cycle[name]} {name}" for name in ("inserted", "updated", "unchanged")]
    counts += [f"{cycle[name]} {_WORDS.get(name, name)}" for name in rare if cycle[name]]
    return (
        f"{cycle['kind']} {word}: {cycle['models']} models read on {cycle['pages']} pages; "
        + ", ".join(counts)
    )


def _job_document(result: JobResult, code: ExitCode) -> dict[str, Any]:
    return {
        "exit_code": int(code),
        "open_quarantine": result.open_quarantine,
        "removals_waiting": result.removals_waiting,
        "catalogs": [catalog.document for catalog in result.catalogs],
    }


async def _plan(invocation: Invocation, names: tuple[str, ...], *, as_json: bool) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.oneshot import plan_backfills  # noqa: PLC0415

    settings = invocation.settings()
    invocation.start_logging(settings)
    plans = await plan_backfills(settings, pick_catalogs(settings, names), SystemClock())
    if as_json:
        print_json({"catalogs": [_plan_document(*each) for each in plans.items()]})
        return ExitCode.OK
    per_minute = settings.source.max_requests_per_minute
    for name, planned in plans.items():
        plan, requests = planned.plan, planned.plan.estimated_requests
        click.echo(f"{name}: by {plan.strategy}: {plan.reason}")
        if requests is None:
            click.echo("  requests: unknown until the first page is read")
        else:
            click.echo(f"  requests: about {requests}, {_waiting(requests, per_minute)}")
        if planned.detail_requests is None:
            click.echo("  details: one request for each model, after all others")
        elif name in settings.detailed:
            count = counted(planned.detail_requests, "request")
            wait = _waiting(planned.detail_requests, per_minute)
            click.echo(f"  details: {count}, after all others, {wait}")
        for partition in plan.partitions:
            click.echo(f"  partition {partition.name}")
    return ExitCode.OK


def _waiting(requests: int, per_minute: int) -> str:
    wait_s = 60 * max(0, requests - per_minute) // per_minute
    return f"at least {wait_s} s of waiting for the budget of {per_minute} a minute"


def _plan_document(name: str, planned: PlannedBackfill) -> dict[str, Any]:
    plan = planned.plan
    return {
        "name": name,
        "strategy": plan.strategy,
        "reason": plan.reason,
        "estimated_models": plan.estimated_models,
        "estimated_requests": plan.estimated_requests,
        "detail_requests": planned.detail_requests,
        "partitions": [partition.name for partition in plan.partitions],
    }


async def _run_daemon(invocation: Invocation) -> ExitCode:
    from syncer.clock import SystemClock  # noqa: PLC0415
    from syncer.crawl import StopSignal  # noqa: PLC0415
    from syncer.daemon import Daemon  # noqa: PLC0415
    from syncer.progress import build_progress  # noqa: PLC0415
    from syncer.service import Notifier, Supervision, watchdog_interval  # noqa: PLC0415
    from syncer.shutdown import stop_on_signals  # noqa: PLC0415
    from syncer.telemetry import Event, logger  # noqa: PLC0415
    from syncer.web.application import create_application  # noqa: PLC0415
    from syncer.web.listener import Listener  # noqa: PLC0415
    from syncer.web.lookout import Lookout  # noqa: PLC0415
    from syncer.web.page import page_routes  # noqa: PLC0415
    from syncer.web.people import PageReader  # noqa: PLC0415

    clock, stop = SystemClock(), StopSignal()
    configuration = invocation.configuration(for_daemon=True)
    lookout = Lookout(*configuration, clock)
    service = Supervision(
        clock,
        Notifier.from_environment(os.environ),
        watchdog_s=watchdog_interval(os.environ, os.getpid()),
    )
    with build_progress(sys.stderr, json_output=False, log=logger(), clock=clock) as progress:
        daemon = Daemon(
            configuration=configuration,
            load=lambda: invocation.configuration(for_daemon=True, earlier=daemon.configuration),
            clock=clock,
            rng=random.SystemRandom(),
            progress=progress,
            stop=stop,
            service=service,
            lookout=lookout,
            listener=Listener(
                create_application(lookout, page_routes(PageReader(lookout, progress)))
            ),
        )
        try:
            with stop_on_signals(stop, on_reload=daemon.reload):
                await daemon.run()
        except Stopped:
            # It took longer than the grace, but it is what was asked for.
            pass
    logger().info(Event.SHUTDOWN_FINISHED)
    return ExitCode.OK
