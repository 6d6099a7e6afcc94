"""
How the demo looks: short sections, fit for 80 columns, plain where there is no terminal.

Owns wording and layout. Never decides anything, never does a step.
Kind: edge (terminal).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from syncer.cli.tables import print_status
from syncer.demo import (
    Added,
    Answer,
    Comparison,
    DemoPlace,
    Filled,
    Followed,
    Polled,
    Swept,
    Version,
)
from syncer.demo.place import LATENCY_MS
from syncer.domain import format_millis
from syncer.status import Document

WIDEST = 100
"""Wider lines are hard to read, whatever the terminal holds."""
TYPES_SHOWN = 3

_INDENT = (0, 0, 0, 3)
_NEXT_STEPS = (
    ("syncer init", "write a commented config.toml"),
    ("export SCENARIO_SDK_API_KEY=…", "an account's API key; without credentials"),
    ("export SCENARIO_SDK_API_SECRET=…", "the public catalog is mirrored"),
    ("export DATABASE_URL=postgresql://…", "any PostgreSQL from 15 on; else embedded"),
    ("syncer check", "try source and database, say the remedies"),
    ("syncer sync", "fill and follow, once: for cron"),
    ("syncer verify", "compare mirror and source, model by model"),
    ("syncer run", "fill and follow until stopped: the daemon"),
)


class Screen:
    """Tells the steps of the story on stdout."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names hold emoji; a terminal that cannot show them shall not end the demo.
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False)
        self._console = Console(highlight=False, width=min(console.width, WIDEST))
        self._sections = 0

    def headline(self, text: str) -> None:
        """Begin a section."""
        self._sections += 1
        self._console.print()
        self._console.print(Text(f"{self._sections}  {text}", style="bold cyan"))

    def title(self, models: int) -> None:
        """Say what this is."""
        text = Text("syncer demo", style="bold")
        text.append(f": {models:,} simulated models; nothing leaves this machine", style="not bold")
        self._console.print(text)

    def discarded(self, kept_dir: Path) -> None:
        """An earlier demo's database was removed."""
        self._say(f"Removed the database that an earlier demo kept in {kept_dir}.", style="dim")

    def opened(self, place: DemoPlace, version: str, duration_s: float) -> None:
        """Source and database are there."""
        self._say(f"source    {place.settings.source.base_url}, the bundled simulated API")
        self._say(f"database  PostgreSQL {version}, embedded, in {place.server.data_dir}")
        self._say(f"Both were started in {duration_s:.1f} s.")

    def filled(self, filled: Filled) -> None:
        """The backfill is complete."""
        run = filled.run
        self._say(
            f"{run.tally.inserted:,} models in {run.duration_s:.1f} s, {run.requests} requests "
            f"(the source waits {LATENCY_MS:.0f} ms each)."
        )
        table = _table("type", "source", "mirror", numbers=("source", "mirror"))
        for name, listed, mirrored in filled.types[:TYPES_SHOWN]:
            table.add_row(Text(name), f"{listed:,}", f"{mirrored:,}")
        rest = filled.types[TYPES_SHOWN:]
        if rest:
            listed, mirrored = sum(each[1] for each in rest), sum(each[2] for each in rest)
            table.add_row(
                Text(f"{len(rest)} other types", style="dim"), f"{listed:,}", f"{mirrored:,}"
            )
        table.add_row(
            Text("all", style="bold"),
            f"{filled.comparison.source_models:,}",
            f"{filled.comparison.mirror_models:,}",
        )
        self._show(table)

    def followed(self, followed: Followed) -> None:
        """Changes were followed."""
        run = followed.run
        self._say("Three models change at the source, one of them by name. One delta cycle:")
        self._say(
            f"{_requests(run.requests)}, exactly those {followed.updated} rows updated, "
            f"{followed.untouched:,} untouched, in {run.duration_s:.2f} s."
        )
        table = _table("", "before", "after")
        for label, before, after in (
            ("name", followed.before.name or "", followed.after.name or ""),
            ("updated_at", _updated_at(followed.before), _updated_at(followed.after)),
        ):
            table.add_row(Text(label, style="dim"), Text(before), Text(after, style="green"))
        self._show(table)

    def polled(self, polled: Polled) -> None:
        """Nothing had changed."""
        self._say(
            f"And with nothing new: {_requests(polled.run.requests)}, {polled.written} rows "
            f"written, in {polled.run.duration_s:.2f} s."
        )

    def added(self, added: Added) -> None:
        """New models were followed, and a broken one set aside."""
        self._say(
            f"Three models appear: {_requests(added.run.requests)}, "
            f"{len(added.mirrored)} rows inserted, {len(added.quarantined)} model set aside."
        )
        table = _table("mirrored", "type")
        for version in added.mirrored:
            table.add_row(Text(version.name or "", style="green"), Text(version.type or ""))
        self._show(table)
        self._say("The second one's type stands in no list: types are discovered.")
        for key, reason in added.quarantined:
            self._say(f"In quarantine: {key}: {reason}.", style="yellow")

    def swept(self, swept: Swept) -> None:
        """What left no trace was found."""
        self._say(
            "Two models vanish and one is edited in silence: nothing in updatedAt tells. A sweep "
            "compares everything, and asks a second time before it removes:"
        )
        self._say(
            f"{_requests(swept.run.requests)}, {len(swept.removed)} tombstones "
            f"({', '.join(swept.removed)}), in {swept.run.duration_s:.2f} s."
        )
        self._say(f"The silent edit is there, too: {swept.edited.name}.")

    def proved(self, comparison: Comparison) -> None:
        """Say whether they agree, or what differs."""
        self._say("Both sides were read again, completely, and compared model by model:")
        if comparison.agrees:
            self._say(
                f"{comparison.source_models:,} at the source = {comparison.mirror_models:,} in the "
                f"mirror + {comparison.quarantined} in quarantine.",
                style="bold green",
            )
            self._say("Every id and every version (updatedAt) agrees.", style="bold green")
            return
        self._say("The mirror is not the source.", style="bold red")
        for word in ("missing", "extra", "stale"):
            ids: tuple[str, ...] = getattr(comparison, word)
            if ids:
                shown = ", ".join(ids[:3]) + (", …" if ids[3:] else "")
                self._say(f"{len(ids):,} {word}: {shown}", style="red")

    def answered(self, answers: tuple[Answer, ...]) -> None:
        """Example questions with their answers."""
        for number, answer in enumerate(answers):
            if number:
                self._console.print()
            self._say(answer.question)
            for line in answer.sql.splitlines():
                self._say(f"  {line}", style="dim")
            table = _table(*answer.columns, numbers=_numbers(answer))
            for row in answer.rows:
                table.add_row(*(Text(_cell(value)) for value in row))
            self._show(table)

    def status(self, document: Document) -> None:
        """What ``syncer status`` shows."""
        print_status(document, is_folded=True)

    def next_steps(self) -> None:
        """From here to the real catalog."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for command, purpose in _NEXT_STEPS:
            table.add_row(Text(command, style="bold"), Text(purpose))
        self._show(table)

    def kept(self, psql: str) -> None:
        """How to open the database that stays, and how to be rid of it."""
        self._console.print()
        self._say("The database stays and runs. Open it with")
        # Alone and unbroken, so that it can be copied.
        self._console.print(Text(psql, style="bold"), soft_wrap=True)
        self._say("'syncer demo' stops and removes it; with --keep it puts a new one in its place.")

    def ended(self, duration_s: float, *, kept: bool) -> None:
        """The last word."""
        rest = "" if kept else " Nothing is left running, and no file is left behind."
        self._console.print()
        self._say(f"The demo took {duration_s:.1f} s.{rest}", style="dim")

    def _say(self, text: str, *, style: str = "") -> None:
        self._console.print(Padding(Text(text, style=style), _INDENT, expand=False))

    def _show(self, table: Table) -> None:
        self._console.print(Padding(table, _INDENT, expand=False))


def _table(*columns: str, numbers: Collection[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(Text(name), justify="right" if name in numbers else "left")
    return table


def _numbers(answer: Answer) -> Collection[str]:
    """Columns to be set flush right."""
    first = answer.rows[0] if answer.rows else ()
    pairs = zip(answer.columns, first, strict=False)
    return [name for name, value in pairs if isinstance(value, int)]


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _updated_at(version: Version) -> str:
    return format_millis(version.updated_ms)


def _requests(count: int) -> str:
    return f"{count} request" if count == 1 else f"{count} requests"
