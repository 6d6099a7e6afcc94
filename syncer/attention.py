"""
What is wrong, from a status document: in words, the worst first, each with what mends it.

Owns the order and the wording of what needs somebody's attention, and how spans of time are said.
Never reads a database or a clock, never prints.
Invariant: a document that is not ready has at least one notice, and each notice says what to do.
Kind: pure.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]

_CHECK = "Run 'syncer check': it tries source and database and says what to do."
_LATE = re.compile(r"freshness is (?:unknown|(?P<fresh_s>\d+) s), the limit is (?P<limit_s>\d+) s")
"""How ``/readyz`` says that a catalog is stale: programs compare seconds, people do not."""


class Weight(enum.IntEnum):
    """How much it matters; the heaviest first."""

    STOPPED = 0
    """Nothing is mirrored any more, or not yet."""
    LATE = 1
    """It goes on, but not as it should."""
    WAITING = 2
    """Somebody has to decide."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is wrong."""

    weight: Weight
    where: str
    """The catalog, or the catalog and its partition; empty: the whole."""
    what: str
    fix: str


def notices(document: Document) -> list[Notice]:
    """Everything that needs attention."""
    now = instant(document["generated_at"])
    about = {each["name"]: f"catalog {each['name']}: " for each in document["catalogs"]}
    general = [each for each in document["reasons"] if not each.startswith(tuple(about.values()))]
    found = [_general(reason) for reason in general]
    for catalog in document["catalogs"]:
        prefix = about[catalog["name"]]
        reasons = [
            plain(each.removeprefix(prefix))
            for each in document["reasons"]
            if each.startswith(prefix)
        ]
        if general and catalog["phase"] == "new":
            # Said once for all of them.
            reasons = []
        found += _of_catalog(catalog, reasons, now)
    return sorted(found, key=lambda notice: notice.weight)


def _general(reason: str) -> Notice:
    """Of the whole; the command that mends it may stand in it already."""
    what, has_command, command = plain(reason).partition(": run '")
    return Notice(Weight.STOPPED, "", what, f"Run '{command}." if has_command else _CHECK)


def _of_catalog(catalog: Document, reasons: list[str], now: datetime) -> Iterator[Notice]:
    name, error = catalog["name"], catalog["last_error"]
    is_blocked = catalog["phase"] == "blocked"
    if error is not None:
        since = age(error["at"], now)
        said = error["message"].removeprefix(f"catalog {name}: ")
        what = f"{'blocked, ' if is_blocked else ''}{since}: {said}"
        weight = Weight.STOPPED if is_blocked else Weight.LATE
        if catalog["removals_waiting"] and "--allow-removals" in (error["hint"] or ""):
            weight = Weight.WAITING
        yield Notice(weight, name, plain(what), plain(error["hint"] or _CHECK))
    for reason in reasons:
        if not (is_blocked and error is not None):
            yield Notice(*_unready(catalog, reason))
    for partition in catalog["partitions"]:
        failed = partition["last_error"]
        if failed is not None and (error is None or failed["message"] not in error["message"]):
            yield Notice(
                Weight.LATE,
                f"{name}/{partition['name']}",
                plain(f"{age(failed['at'], now)}: {failed['message']}"),
                plain(failed["hint"] or _CHECK),
            )
    yield from _waiting(catalog, error)


def _unready(catalog: Document, reason: str) -> tuple[Weight, str, str, str]:
    name, holder = catalog["name"], catalog["lease"]["holder"]
    if reason == "nothing is mirrored yet":
        return Weight.STOPPED, name, reason, "Run 'syncer sync' once, or 'syncer run' to follow."
    if late := _LATE.fullmatch(reason):
        done = f"ended {ago(catalog['freshness_s'])}" if late["fresh_s"] else "is not known of"
        limit = span(float(late["limit_s"]))
        reason = f"not up to date: the last complete cycle {done}, the limit is {limit}"
    if holder is not None:
        fix = f"Process {plain(holder)} works on it: its log says what it waits for."
        return Weight.LATE, name, reason, fix
    return (
        Weight.STOPPED,
        name,
        f"{reason}; no process works on it",
        f"Start 'syncer run', or run 'syncer sync --catalog {name}': it goes on from where it was.",
    )


def _waiting(catalog: Document, error: Document | None) -> Iterator[Notice]:
    name, waiting = catalog["name"], catalog["removals_waiting"]
    if waiting and "--allow-removals" not in ((error or {}).get("hint") or ""):
        yield Notice(
            Weight.WAITING,
            name,
            f"{counted(waiting, 'removal')} held back: more than the guard lets pass",
            f"Look with 'syncer sweep --catalog {name} --dry-run'; if that is right, run "
            f"'syncer sweep --catalog {name} --allow-removals {waiting}'.",
        )
    if catalog["quarantined_models"]:
        yield Notice(
            Weight.WAITING,
            name,
            f"{counted(catalog['quarantined_models'], 'model')} in quarantine: the source lists "
            "what cannot be stored",
            f"See why with 'syncer quarantine list --catalog {name}'; then 'syncer quarantine "
            "retry', or 'dismiss'.",
        )


def counted(number: int, noun: str) -> str:
    """``1 model``, ``1,234 models``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: str) -> str:
    """One line that a terminal shows as it is, whatever the source or a server said."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def instant(text: str) -> datetime:
    """A time of the document."""
    return datetime.fromisoformat(text).astimezone(UTC)


def age(text: str | None, now: datetime) -> str:
    """How long ago a time of the document is: ``12 s ago``."""
    if text is None:
        return "-"
    return ago(max(0.0, (now - instant(text)).total_seconds()))


def ago(seconds: float | None) -> str:
    """``12 s ago``; nothing known is ``-``."""
    return "-" if seconds is None else f"{span(seconds)} ago"


def span(seconds: float | None) -> str:
    """A span with the unit that leaves a number people can hold: ``12 s``, ``14 min``, ``3 d``."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
