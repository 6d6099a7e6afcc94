"""
Tables for tired eyes.

Owns how ``status`` looks: what is wrong and what mends it first, then one row a catalog. Never
decides what is wrong.
Invariant: nothing is said by colour alone, and no number is cut; where no terminal is, each thing
is one line.
Kind: edge (terminal).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncer.attention import Weight, age, ago, counted, instant, notices, plain, span

_PHASE_STYLES = {"idle": "green", "blocked": "bold red", "retired": "dim", "new": "yellow"}
_WEIGHT_STYLES = {Weight.STOPPED: "bold red", Weight.LATE: "yellow", Weight.WAITING: "yellow"}
_NUMBERS = frozenset({"live", "removed", "quarantine", "fresh", "lag"})
_COLUMNS = ("catalog", "phase", "live", "removed", "quarantine", "fresh", "lag")
LAST_CYCLE_FROM_WIDTH = 110
"""Columns of a terminal from which the last cycle fits into the table."""
_UNBOUNDED_WIDTH = 4_000
"""Where no terminal is, nothing is folded; longer than any line, far below what rich can do."""
MAX_PARTITIONS = 6
"""Unfinished partitions that are named; an unlucky backfill has hundreds."""
_DONE = frozenset({"complete", "dropped"})


def print_status(
    document: dict[str, Any], console: Console | None = None, *, is_folded: bool = False
) -> None:
    """The status document for people.

    Args:
        document: as ``status --json`` prints it.
        console: where to; else standard output.
        is_folded: to the console's width also where no terminal is, as a part of a text is.
    """
    console = console or Console(highlight=False)
    if not console.is_terminal and not is_folded:
        console.width = _UNBOUNDED_WIDTH
    now = instant(document["generated_at"])
    _print_verdict(console, document, now)
    _print_notices(console, document)
    is_wide = console.width >= LAST_CYCLE_FROM_WIDTH
    _print_table(console, document["catalogs"], now, with_cycle=is_wide)
    for catalog in document["catalogs"]:
        _print_details(console, catalog, now, with_cycle=not is_wide)
    _print_holders(console, document["catalogs"])


def _print_verdict(console: Console, document: dict[str, Any], now: datetime) -> None:
    verdict = (
        Text("ready", style="bold green")
        if document["ready"]
        else Text("NOT READY", style="bold red")
    )
    at = Text(f"  at {now:%Y-%m-%d %H:%M:%S} UTC, syncer {document['version']}", style="dim")
    console.print(verdict + at)


def _print_notices(console: Console, document: dict[str, Any]) -> None:
    console.print()
    found = notices(document)
    for notice in found:
        style = _WEIGHT_STYLES[notice.weight]
        where = f"{plain(notice.where)}: " if notice.where else ""
        _print_indented(console, "!", Text(where, style="bold") + Text(notice.what), style)
        _print_indented(console, " ", Text(f"fix: {notice.fix}"), style)
    if found:
        console.print()


def _print_indented(console: Console, mark: str, text: Text, style: str) -> None:
    """Under its mark: what is folded stays in its own column."""
    if console.width >= _UNBOUNDED_WIDTH:
        console.print(Text(f"{mark} ") + text)
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), text)
    console.print(grid)


def _print_table(
    console: Console, catalogs: list[dict[str, Any]], now: datetime, *, with_cycle: bool
) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in _COLUMNS:
        # Of all columns only names may be folded: half a number is another number.
        table.add_column(
            name,
            justify="right" if name in _NUMBERS else "left",
            no_wrap=name != "catalog",
            overflow="fold",
        )
    if with_cycle:
        table.add_column("last cycle", no_wrap=True)
    for catalog in catalogs:
        last = [Text(_last_cycle(catalog, now))] if with_cycle else []
        style = "dim" if catalog["phase"] == "retired" else ""
        table.add_row(*_cells(catalog), *last, style=style)
    console.print(table)


def _cells(catalog: dict[str, Any]) -> list[Text]:
    phase, quarantined = catalog["phase"], catalog["quarantined_models"]
    return [
        Text(catalog["name"]),
        Text(phase, style=_PHASE_STYLES.get(phase, "cyan")),
        Text(f"{catalog['live_models']:,}"),
        Text(f"{catalog['removed_models']:,}"),
        Text(f"{quarantined:,}", style="yellow" if quarantined else ""),
        Text(ago(catalog["freshness_s"])),
        Text(span(catalog["lag_s"])),
    ]


def _last_cycle(catalog: dict[str, Any], now: datetime) -> str:
    cycle = catalog["last_cycle"]
    if cycle is None:
        return "-"
    return f"{cycle['kind']} {cycle['outcome']}, {age(cycle['finished_at'], now)}"


def _print_details(
    console: Console, catalog: dict[str, Any], now: datetime, *, with_cycle: bool
) -> None:
    name = catalog["name"]
    if catalog["phase"] == "retired":
        what = f"gone from the configuration; 'syncer forget {name}' removes its rows"
        _print_line(console, f"{name}: {what}")
        return
    cycle = catalog["last_cycle"]
    if with_cycle and cycle is not None and cycle["outcome"] != "complete":
        # Of a complete one "fresh" says the same.
        _print_line(console, f"{name}: last cycle {_last_cycle(catalog, now)}")
    _print_partitions(console, catalog)
    if (details := catalog.get("details")) is not None:
        _print_line(console, f"{name}: {_completeness(details)}")


def _completeness(details: dict[str, int]) -> str:
    """Of what no list carries; those that were set aside are in ``syncer.detail_failure``."""
    wanted, stored, failed = details["wanted"], details["stored"], details["failed"]
    text = f"details of {stored:,} of {counted(wanted, 'model')} stored"
    if failed:
        text += f", {failed:,} set aside"
    open_ = wanted - stored - failed
    return f"{text}, {open_:,} still to be asked for" if open_ else text


def _print_partitions(console: Console, catalog: dict[str, Any]) -> None:
    """How far the cycle under way is; nothing of one that is complete."""
    name, partitions = catalog["name"], catalog["partitions"]
    open_ = [each for each in partitions if each["phase"] not in _DONE]
    if not open_:
        return
    models = sum(each["models"] for each in partitions)
    pages = sum(each["pages"] for each in partitions)
    _print_line(
        console,
        f"{name}: {len(partitions) - len(open_):,} of {len(partitions):,} partitions done, "
        f"{counted(models, 'model')} on {counted(pages, 'page')} so far",
    )
    for partition in open_[:MAX_PARTITIONS]:
        _print_line(
            console,
            f"  {partition['name']}: {partition['phase']}, {counted(partition['models'], 'model')}"
            f" on {counted(partition['pages'], 'page')}",
        )
    if len(open_) > MAX_PARTITIONS:
        left = len(open_) - MAX_PARTITIONS
        _print_line(console, f"  and {left:,} more: 'syncer status --json' has them all")


def _print_holders(console: Console, catalogs: list[dict[str, Any]]) -> None:
    """Who works on what: one line a process."""
    held: dict[str, list[str]] = {}
    for catalog in catalogs:
        if catalog["lease"]["holder"]:
            held.setdefault(catalog["lease"]["holder"], []).append(catalog["name"])
    for holder, names in held.items():
        _print_line(console, f"held by {holder}: {', '.join(names)}", style="dim")


def _print_line(console: Console, text: str, *, style: str = "") -> None:
    console.print(
        Text(plain(text) if not text.startswith("  ") else f"  {plain(text)}"), style=style
    )
