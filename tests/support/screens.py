"""
Status documents of every state that ``syncer status`` can meet, and what it shows of them.

Owns made-up documents in the shape of the contract. Never asks a database.
Kind: pure.
"""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from syncer.cli.tables import print_status

NOW = "2026-11-01T12:00:00.000Z"
WIDE = 120
NARROW = 80
ERROR = {
    "at": "2026-11-01T11:56:00.000Z",
    "message": "GET /models answered 401: the source refused the credentials",
    "hint": "Check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET (or SCENARIO_SDK_JWT_FILE), "
    "then run 'syncer check'.",
}


def catalog(name: str = "public", **changes: Any) -> dict[str, Any]:
    """A catalog with which all is well, but for what is changed."""
    return {
        "name": name,
        "privacy": "public",
        "phase": "idle",
        "watermark": "2026-11-01T11:54:48.000Z",
        "head": "2026-11-01T11:54:50.000Z",
        "lag_s": 2.0,
        "freshness_s": 12.4,
        "live_models": 12_345,
        "removed_models": 67,
        "quarantined_models": 0,
        "removals_waiting": 0,
        "last_cycle": {
            "kind": "delta",
            "outcome": "complete",
            "started_at": "2026-11-01T11:59:46.000Z",
            "finished_at": "2026-11-01T11:59:47.600Z",
        },
        "last_error": None,
        "lease": {"holder": "worker-1:4711", "epoch": 3, "expires_at": "2026-11-01T12:00:20.000Z"},
        "partitions": [],
        **changes,
    }


def partition(name: str, phase: str = "walking", **changes: Any) -> dict[str, Any]:
    """A part of a catalog that is crawled."""
    return {
        "name": name,
        "phase": phase,
        "watermark": None,
        "models": 1500,
        "pages": 3,
        "last_error": None,
        **changes,
    }


UNHELD = {"holder": None, "epoch": 3, "expires_at": None}
NEW = {
    "phase": "new",
    "watermark": None,
    "head": None,
    "lag_s": None,
    "freshness_s": None,
    "live_models": 0,
    "removed_models": 0,
    "last_cycle": None,
    "lease": {"holder": None, "epoch": None, "expires_at": None},
}
FAILED = {
    "kind": "delta",
    "outcome": "failed",
    "started_at": "2026-11-01T11:55:59.000Z",
    "finished_at": "2026-11-01T11:56:00.000Z",
}
GUARD_HINT = (
    "If that is right, run 'syncer sweep --catalog ours --allow-removals 120'; else check "
    "credentials, project_id and filters."
)
GUARDED = {
    "at": "2026-11-01T11:30:00.000Z",
    "message": "catalog ours: 120 of 400 live models are gone, more than max_removed_fraction 0.2 "
    "allows; nothing was removed",
    "hint": GUARD_HINT,
}
LATE = "catalog public: freshness is 4000 s, the limit is 300 s"
STUCK = "catalog public: the first backfill is not complete and does not move"
WALKED = [partition(f"everything@2025-{month:02}-01", models=500) for month in range(1, 10)]

STATES: dict[str, dict[str, Any]] = {
    "nothing at all": {
        "catalogs": [catalog(**NEW), catalog("ours", **NEW)],
        "reasons": [
            "nothing is mirrored yet: run 'syncer sync'",
            "catalog public: nothing is mirrored yet",
            "catalog ours: nothing is mirrored yet",
        ],
    },
    "one of two is new": {
        "catalogs": [catalog(), catalog("ours", **NEW)],
        "reasons": ["catalog ours: nothing is mirrored yet"],
    },
    "backfill": {
        "catalogs": [
            catalog(
                phase="backfill",
                freshness_s=None,
                last_cycle=None,
                partitions=[partition("everything", "complete", models=9500, pages=19), *WALKED],
            )
        ]
    },
    "stuck backfill": {
        "catalogs": [
            catalog(
                phase="backfill",
                freshness_s=None,
                lease=UNHELD,
                last_error=ERROR | {"message": "the source is unavailable", "hint": ""},
                partitions=[partition("everything")],
            )
        ],
        "reasons": [STUCK],
    },
    "idle": {"catalogs": [catalog(), catalog("ours", live_models=1_234_567, lag_s=172_900.0)]},
    "delta": {"catalogs": [catalog(phase="delta", partitions=[partition("updated", models=1)])]},
    "sweep": {
        "catalogs": [
            catalog(
                phase="sweep",
                partitions=[
                    partition("everything", "complete"),
                    partition("everything@2025-06-01", last_error=ERROR),
                ],
            )
        ]
    },
    "blocked": {
        "catalogs": [
            catalog(),
            catalog("ours", phase="blocked", last_error=ERROR, last_cycle=FAILED),
        ],
        "reasons": [f"catalog ours: blocked: {ERROR['message']}"],
    },
    "removals wait": {
        "catalogs": [
            catalog("ours", privacy="private", removals_waiting=120, last_error=GUARDED),
            catalog("public", removals_waiting=7),
        ]
    },
    "details": {
        "catalogs": [
            catalog(details={"wanted": 12_345, "stored": 12_345, "failed": 0}),
            catalog("ours", details={"wanted": 1_200, "stored": 1_000, "failed": 3}),
        ]
    },
    "quarantine": {"catalogs": [catalog(quarantined_models=1)]},
    "late, somebody works": {
        "catalogs": [catalog(freshness_s=4000.0)],
        "reasons": [LATE],
    },
    "late, nobody works": {
        "catalogs": [catalog(freshness_s=4000.0, lease=UNHELD)],
        "reasons": [LATE],
    },
    "retired": {"catalogs": [catalog(), catalog("former", phase="retired", lease=UNHELD)]},
    "long names": {
        "catalogs": [
            catalog(
                "all_the_models_of_the_second_project_and_some_more",
                live_models=123_456_789,
                removed_models=1_234_567,
                quarantined_models=12_345,
                phase="blocked",
                last_error=ERROR | {"message": "it said \x1b[31mno\x07\nand more " * 6},
            )
        ],
        "reasons": ["catalog all_the_models_of_the_second_project_and_some_more: blocked: it said"],
    },
}


def document(name: str) -> dict[str, Any]:
    """One of the states as a whole document."""
    state = STATES[name]
    reasons = state.get("reasons", [])
    return {
        "version": "0.1.0",
        "generated_at": NOW,
        "ready": not reasons,
        "reasons": reasons,
        "catalogs": state["catalogs"],
    }


def screen(
    name: str, *, width: int = NARROW, terminal: bool = True, colour: bool = False
) -> list[str]:
    """The lines that are shown, without the spaces at their ends."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        # Nothing of the machine that the tests run on.
        _environ={},
    )
    print_status(document(name), console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


if __name__ == "__main__":
    import sys

    for each in STATES:
        for columns in (NARROW, WIDE):
            sys.stdout.write(f"\n----- {each}, {columns}\n")
            sys.stdout.write("\n".join(screen(each, width=columns)) + "\n")
