"""
What the status page may have to show: one scene a state.

Owns made-up documents of the shape of ``syncer.status``, hostile names among them. Never reads
anything.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from syncer.config import CatalogSettings, Settings
from syncer.domain import Privacy
from syncer.status import build_status
from syncer.store.status import CatalogRow, PartitionRow
from syncer.web.page import (
    CatalogProgress,
    ChangedModel,
    Extras,
    Facts,
    ModelCount,
    PageInput,
    RecentCycle,
)

NOW = datetime(2026, 11, 26, 21, 40, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' onload='alert(1)",
    "</title></svg><style>*{display:none}</style>",
    "{{ 7 * 7 }} {% raw %} &lt; \u202egnp.exe\u0000\n]]>",
    "https://cdn.cloud.scenario.com/assets/a?Policy=p4ss&Key-Pair-Id=k&Signature=s1gned",
    "wandbKey=s3cret Authorization: Basic c2VjcmV0OnM=",
)
SECRETS = ("p4ss", "s1gned", "s3cret", "c2VjcmV0OnM")
PUBLIC_THUMBNAIL = "https://cdn.cloud.scenario.com/thumbnails/model_1.webp"

IDLE = CatalogRow(
    catalog="public",
    privacy="public",
    phase="idle",
    watermark=NOW - timedelta(minutes=6),
    head=NOW - timedelta(minutes=5),
    lag_s=0.0,
    freshness_s=17.5,
    live_models=709,
    removed_models=31,
    quarantined_models=0,
    removals_waiting=0,
    backfilled_at=NOW - timedelta(days=40),
    last_cycle_kind="delta",
    last_cycle_outcome="complete",
    last_cycle_started_at=NOW - timedelta(seconds=18),
    last_cycle_finished_at=NOW - timedelta(seconds=17),
    last_error_at=None,
    last_error_message=None,
    last_error_hint=None,
    holder="host-a:42",
    epoch=7,
    expires_at=NOW + timedelta(seconds=30),
    lease_valid=True,
    moved_s=None,
)
PRIVATE = CatalogSettings(name="ours", privacy=Privacy.PRIVATE)
_TWO = Settings(catalogs=(CatalogSettings(name="public"), PRIVATE))
FILLING = replace(
    IDLE,
    catalog="ours",
    privacy="private",
    phase="backfill",
    watermark=None,
    head=None,
    lag_s=None,
    freshness_s=None,
    live_models=412_000,
    removed_models=0,
    backfilled_at=None,
    last_cycle_kind=None,
    moved_s=2.0,
)


def walked(number: int, phase: str = "complete", **more: Any) -> PartitionRow:
    """One partition of the private catalog."""
    partition = PartitionRow(
        catalog="ours",
        partition=f"2025-{number:02}",
        phase=phase,
        after_at=NOW - number * 30 * 24 * HOUR,
        before_at=None,
        newest_at=NOW - HOUR,
        models=51_500,
        pages=103,
        last_error_at=None,
        last_error_message=None,
        last_error_hint=None,
    )
    return replace(partition, **more)


def extras() -> Extras:
    """A mirror in daily use."""
    this_hour = NOW.replace(minute=0, second=0)
    cycle = RecentCycle(
        catalog="public",
        kind="delta",
        strategy="probe",
        reason="12 changed models fit one page",
        started_at=NOW - timedelta(minutes=3),
        finished_at=NOW - timedelta(minutes=3) + timedelta(seconds=2),
        outcome="complete",
        models=12,
        pages=1,
    )
    names = ("FLUX.2 [pro]", "Seedream 4", "森の魔法使い 🌲", None)
    return Extras(
        cycles=(
            replace(cycle, finished_at=None, outcome=None, models=40, kind="sweep"),
            cycle,
            replace(
                cycle,
                outcome="failed",
                models=None,
                pages=None,
                finished_at=NOW - 4 * HOUR,
                started_at=NOW - 5 * HOUR,
            ),
        ),
        changes=tuple(
            ChangedModel(
                catalog="public",
                id=f"model_bytedance-seedream-{number}",
                name=name,
                type=("custom", "flux.1-lora")[number % 2],
                what=("new", "updated", "removed")[number % 3],
                updated_at=NOW - number * HOUR,
                changed_at=NOW - number * HOUR,
                thumbnail_url=(PUBLIC_THUMBNAIL, "https://cdn.cloud.scenario.com/assets/a")[
                    number % 2
                ],
            )
            for number, name in enumerate(names)
        ),
        changes_per_hour=tuple(
            (this_hour - (47 - number) * HOUR, (number * 7 % 23) * (number % 5 > 1))
            for number in range(48)
        ),
        models_over_time=tuple(
            ModelCount(date(2026, 10, 18) + timedelta(days=number), 640 + 2 * number, number)
            for number in range(0, 36, 3)
        ),
    )


def requests() -> tuple[tuple[datetime, int], ...]:
    """An hour of polls, with a busy time in the middle."""
    minute = NOW.replace(second=0)
    return tuple(
        (minute - timedelta(minutes=number), 88 - number % 3 if 20 < number < 33 else 2)
        for number in range(60)
    )


def facts(**more: Any) -> Facts:
    """What the process knows."""
    known: dict[str, Any] = {
        "freshness_limits_s": {"public": 300.0, "ours": 300.0},
        "max_requests_per_minute": 90,
    }
    return Facts(**(known | more))


def page(*rows: CatalogRow, partitions: tuple[PartitionRow, ...] = (), **more: Any) -> PageInput:
    """A page about these catalogs."""
    settings = more.pop("settings", Settings())
    problems = more.pop("problems", ())
    given: dict[str, Any] = {
        "document": build_status(settings, rows, partitions, now=NOW, problems=problems),
        "extras": extras(),
        "requests_per_minute": requests(),
        "now": NOW,
        "facts": facts(),
    }
    return PageInput(**(given | more))


def nothing_yet() -> PageInput:
    """Just started: no row, no cycle, no request."""
    return page(extras=Extras(), requests_per_minute=())


def idle() -> PageInput:
    """All is well."""
    return page(IDLE)


def backfill() -> PageInput:
    """Eight partitions, three of them complete, and an end in sight."""
    partitions = tuple(
        walked(number, "complete" if number < 4 else "walking" if number < 7 else "pending")
        for number in range(1, 9)
    )
    progress = {"ours": CatalogProgress(412_000, 1_000_000, 4_210.0)}
    return page(IDLE, FILLING, settings=_TWO, partitions=partitions, facts=facts(progress=progress))


def trouble() -> PageInput:
    """Blocked, removals that wait, quarantine, a partition that fails."""
    blocked = replace(
        IDLE,
        phase="blocked",
        freshness_s=4_000.0,
        quarantined_models=3,
        removals_waiting=120,
        last_error_at=NOW - HOUR,
        last_error_message="the source refused the credentials (401)",
        last_error_hint="Check SCENARIO_SDK_API_KEY with 'syncer check'.",
    )
    failed = walked(
        1,
        "walking",
        last_error_at=NOW,
        last_error_message="the source returned the cursor it was given",
        last_error_hint="Run 'syncer sync' again.",
    )
    return page(blocked, replace(FILLING, moved_s=4_000.0), settings=_TWO, partitions=(failed,))


def database_away() -> PageInput:
    """The last good state, ten minutes old, and nothing newer."""
    away = facts(database_problem="the database does not answer: connection refused")
    return page(IDLE, now=NOW + timedelta(minutes=10), extras=None, facts=away)


def retired() -> PageInput:
    """A catalog that is no longer configured."""
    return page(IDLE, replace(IDLE, catalog="old_one", phase="retired", freshness_s=9e6))


def hostile() -> PageInput:
    """Names and messages that hold anything."""
    extra = extras()
    changes = tuple(
        replace(extra.changes[0], id=text, name=text, type=text, thumbnail_url=text)
        for text in HOSTILE
    )
    cycles = tuple(
        replace(extra.cycles[0], reason=text, outcome=text, kind=text) for text in HOSTILE
    )
    rows = tuple(
        replace(
            IDLE,
            catalog=text,
            holder=text,
            privacy=text,
            last_cycle_kind=text,
            last_error_at=NOW,
            last_error_message=text,
            last_error_hint=text,
        )
        for text in HOSTILE[:-1]
    )
    partitions = tuple(
        walked(
            1,
            partition=text,
            catalog=rows[0].catalog,
            last_error_at=NOW,
            last_error_message=text,
            last_error_hint=text,
        )
        for text in HOSTILE
    )
    return page(
        *rows,
        partitions=partitions,
        extras=replace(extra, changes=changes, cycles=cycles),
        problems=HOSTILE,
        facts=facts(database_problem=HOSTILE[4]),
    )


SCENES: Mapping[str, Callable[[], PageInput]] = {
    each.__name__: each
    for each in (
        nothing_yet,
        idle,
        backfill,
        trouble,
        database_away,
        retired,
        hostile,
    )
}
