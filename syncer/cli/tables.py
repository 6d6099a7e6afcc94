"""
Tables for tired eyes.

Owns how ``status`` looks on a terminal. Never decides anything.
Kind: edge (terminal).
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PHASE_STYLES = {"idle": "green", "blocked": "bold red", "retired": "dim", "new": "yellow"}


def print_status(document: dict[str, Any]) -> None:
    """The status document for people."""
    console = Console(highlight=False)
    if document["ready"]:
        console.print(Text("ready", style="bold green"))
    else:
        console.print(Text("not ready", style="bold red"))
        for reason in document["reasons"]:
            console.print(Text(f"  {reason}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("catalog", "phase", "live", "removed", "quarantine", "watermark", "lag", "fresh"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
    for catalog in document["catalogs"]:
        table.add_row(*_cells(catalog))
    console.print(table)
    for catalog in document["catalogs"]:
        _print_details(console, catalog)


_NUMBERS = frozenset({"live", "removed", "quarantine", "lag", "fresh"})


def _cells(catalog: dict[str, Any]) -> list[Text]:
    phase = catalog["phase"]
    return [
        Text(catalog["name"]),
        Text(phase, style=_PHASE_STYLES.get(phase, "cyan")),
        Text(f"{catalog['live_models']:,}"),
        Text(f"{catalog['removed_models']:,}"),
        Text(
            f"{catalog['quarantined_models']:,}",
            style="yellow" if catalog["quarantined_models"] else "",
        ),
        Text(catalog["watermark"] or "-"),
        Text(_duration(catalog["lag_s"])),
        Text(_duration(catalog["freshness_s"])),
    ]


def _print_details(console: Console, catalog: dict[str, Any]) -> None:
    lease = catalog["lease"]
    cycle = catalog["last_cycle"]
    if lease["holder"]:
        console.print(Text(f"{catalog['name']}: held by {lease['holder']}", style="dim"))
    if cycle is not None:
        console.print(
            Text(
                f"{catalog['name']}: last cycle {cycle['kind']} {cycle['outcome']} "
                f"at {cycle['finished_at']}",
                style="dim",
            )
        )
    if catalog["last_error"] is not None:
        _print_error(console, catalog["name"], catalog["last_error"])
    for partition in catalog["partitions"]:
        if partition["last_error"] is not None:
            _print_error(console, f"{catalog['name']}/{partition['name']}", partition["last_error"])
        elif partition["phase"] not in {"complete", "dropped"}:
            console.print(
                Text(
                    f"{catalog['name']}/{partition['name']}: {partition['phase']}, "
                    f"{partition['models']:,} models on {partition['pages']:,} pages"
                )
            )


def _print_error(console: Console, where: str, error: dict[str, Any]) -> None:
    console.print(Text(f"{where}: {error['message']} (at {error['at']})", style="red"))
    if error["hint"]:
        console.print(Text(f"  fix: {error['hint']}", style="yellow"))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
