"""
What the status page says of each catalog, and in which words.

Owns the choice: what needs attention, what is late, how far a backfill has come, which command
helps. Never builds HTML, never reads anything.
Invariant: what is not known is called unknown, and what is wrong stands before what is well.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syncer.status import Document
from syncer.web.page.values import CatalogProgress, Facts
from syncer.web.page.words import UNKNOWN, count, duration, moment, parse

OLD_AFTER_S = 60.0
"""A document that was read longer ago than this is called old."""
MAX_PARTITIONS = 200
_RUNNING = frozenset({"backfill", "delta", "sweep"})
_DONE = frozenset({"complete", "dropped"})


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know before anything else."""

    tone: str
    """``bad``, ``warn`` or ``info``; each has a sign and a word, not a colour alone."""
    title: str
    text: str = ""
    fix: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running cycle has come."""

    text: str
    remaining: str
    done: int | None = None
    """With ``total``, where both are known."""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogView:
    """One catalog, as shown."""

    name: str
    privacy: str
    phase: str
    tone: str
    freshness: str
    freshness_note: str
    is_late: bool
    progress: Progress | None
    notices: tuple[Notice, ...]
    partitions: tuple[Mapping[str, Any], ...]
    partitions_done: int
    partitions_known: int
    facts: Mapping[str, Any]
    """The catalog of the document, for what is shown as it is."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The page in one sentence: told aloud whenever it changes, so it holds no clock."""

    tone: str
    word: str
    text: str


def summarise(document: Document, now: datetime, facts: Facts) -> Summary:
    """Whether all is well."""
    generated_at = parse(document["generated_at"])
    as_of = "" if generated_at is None else f" What follows is from {moment(generated_at)}."
    if facts.database_problem is not None:
        return Summary("bad", "Database away", f"The newest state cannot be read.{as_of}")
    if age_s(document, now) > OLD_AFTER_S:
        return Summary("bad", "Old data", f"Nothing newer could be read.{as_of}")
    if facts.stalled_since:
        return Summary("bad", "Stalled", f"{', '.join(facts.stalled_since)} does not move; below.")
    if not document["ready"]:
        number = len(document["reasons"])
        told = "1 reason, below." if number == 1 else f"{number} reasons, below."
        return Summary("bad", "Not ready", told)
    filling = [each["name"] for each in document["catalogs"] if _is_filling(each)]
    if filling:
        return Summary("info", "Ready", f"The first backfill of {', '.join(filling)} is running.")
    return Summary("ok", "Ready", "Every catalog is within its freshness limit.")


def age_s(document: Document, now: datetime) -> float:
    """How old the document is."""
    generated_at = parse(document["generated_at"])
    return 0.0 if generated_at is None else max(0.0, (now - generated_at).total_seconds())


def page_notices(document: Document, facts: Facts) -> tuple[Notice, ...]:
    """What is wrong, whichever catalog it is about."""
    notices = [_stall(name, since) for name, since in facts.stalled_since.items()]
    notices += [Notice("bad", reason) for reason in document["reasons"]]
    if facts.database_problem is not None:
        away = Notice(
            "bad",
            "The database cannot be read",
            facts.database_problem,
            "Mirroring goes on by itself once it answers; 'syncer check' tries the connection.",
        )
        notices.insert(0, away)
    return tuple(notices)


def _stall(catalog: str, since: datetime) -> Notice:
    return Notice(
        "bad",
        f"Catalog {catalog} has not moved since {moment(since)}",
        "Neither a page nor the end of a cycle for longer than limits.stall_after_s.",
        "The line crawl_stalled in the log says where it stands; the command tries the source.",
        commands=("syncer check",),
    )


def view_catalog(catalog: Mapping[str, Any], document_age_s: float, facts: Facts) -> CatalogView:
    """One catalog of the document, made ready to be shown."""
    phase, name = catalog["phase"], catalog["name"]
    freshness_s = catalog["freshness_s"]
    # What is shown is how old the mirror is now, not how old it was when the document was read.
    if freshness_s is not None:
        freshness_s += document_age_s
    limit_s = facts.freshness_limits_s.get(name)
    is_counted = limit_s is not None and freshness_s is not None and phase != "retired"
    is_late = is_counted and freshness_s > limit_s
    partitions = sorted(catalog["partitions"], key=_open_first)
    return CatalogView(
        name=name,
        privacy=catalog["privacy"] or UNKNOWN,
        phase=phase,
        tone="bad" if phase == "blocked" else "warn" if is_late else _tone(phase),
        freshness=duration(freshness_s),
        freshness_note=_freshness_note(limit_s, is_counted=is_counted, is_late=is_late),
        is_late=is_late,
        progress=_progress(catalog, facts.progress.get(name)),
        notices=tuple(_notices(catalog)),
        partitions=tuple(partitions[:MAX_PARTITIONS]),
        partitions_done=sum(each["phase"] in _DONE for each in partitions),
        partitions_known=len(partitions),
        facts=catalog,
    )


def _is_filling(catalog: Mapping[str, Any]) -> bool:
    return bool(catalog["phase"] == "backfill" and catalog["freshness_s"] is None)


def _tone(phase: str) -> str:
    if phase in {"new", "retired"}:
        return "quiet"
    return "info" if phase in _RUNNING else "ok"


def _freshness_note(limit_s: float | None, *, is_counted: bool, is_late: bool) -> str:
    if limit_s is None:
        return ""
    limit = f"limit {duration(limit_s)}"
    if not is_counted:
        return limit
    return f"{'over' if is_late else 'within'} its limit of {duration(limit_s)}"


def _progress(catalog: Mapping[str, Any], known: CatalogProgress | None) -> Progress | None:
    """Only of a cycle that runs; partitions of an older one say nothing about this one."""
    if catalog["phase"] not in _RUNNING:
        return None
    if known is None:
        walked: Sequence[Mapping[str, Any]] = catalog["partitions"]
        models = sum(each["models"] for each in walked)
        pages = sum(each["pages"] for each in walked)
        return Progress(f"{count(models)} models on {count(pages)} pages so far", UNKNOWN)
    total = known.estimated_models
    if total is None or total < known.models:
        return Progress(f"{count(known.models)} models so far", duration(known.remaining_s))
    return Progress(
        f"{count(known.models)} of about {count(total)} models",
        duration(known.remaining_s),
        done=known.models,
        total=total or None,
    )


def _notices(catalog: Mapping[str, Any]) -> list[Notice]:
    name, notices = catalog["name"], []
    if waiting := catalog["removals_waiting"]:
        one_or_more = "1 removal waits" if waiting == 1 else f"{count(waiting)} removals wait"
        notices.append(
            Notice(
                "warn",
                f"{one_or_more} for a decision",
                "Confirmed absent at the source, but more at once than is believed unasked. "
                "The first command looks again and removes nothing, the second lets them pass.",
                commands=(
                    f"syncer sweep --catalog {name} --dry-run",
                    f"syncer sweep --catalog {name} --allow-removals {waiting}",
                ),
            )
        )
    if quarantined := catalog["quarantined_models"]:
        one_or_more = "1 model is" if quarantined == 1 else f"{count(quarantined)} models are"
        notices.append(
            Notice(
                "warn",
                f"{one_or_more} in quarantine",
                "The source lists what cannot be stored; everything else goes on.",
                commands=(f"syncer quarantine list --catalog {name}",),
            )
        )
    if error := catalog["last_error"]:
        notices.insert(0, _error(error, catalog["phase"]))
    return notices


def _error(error: Mapping[str, Any], phase: str) -> Notice:
    at = parse(error["at"])
    when = "" if at is None else f" ({moment(at)})"
    title = "Blocked" if phase == "blocked" else "Last error"
    return Notice(
        "bad" if phase == "blocked" else "warn",
        f"{title}{when}",
        error["message"],
        error["hint"] or "",
    )


def _open_first(partition: Mapping[str, Any]) -> tuple[bool, bool, str]:
    return partition["last_error"] is None, partition["phase"] in _DONE, partition["name"]
