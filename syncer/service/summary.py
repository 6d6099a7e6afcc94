"""
The status document in one line, for ``systemctl status``.

Owns its wording. Never reads anything.
Invariant: the line changes when something happened, not because time has passed.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

MOST_CATALOGS = 8
"""Named one by one; a terminal line holds no more."""

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


def summarise(document: Mapping[str, Any], *, holder: str, stalled: Container[str] = ()) -> str:
    """What each catalog is doing, and what is wrong beside the catalogs.

    Args:
        document: as ``status --json``.
        holder: our name in leases; a catalog that another process holds says so.
        stalled: the catalogs whose crawl does not move.
    """
    catalogs = [each for each in document["catalogs"] if each["phase"] != "retired"]
    parts = [_catalog(each, holder, each["name"] in stalled) for each in catalogs[:MOST_CATALOGS]]
    if len(catalogs) > MOST_CATALOGS:
        parts.append(f"{len(catalogs) - MOST_CATALOGS} more")
    line = "; ".join(parts) or "no catalogs"
    if document["ready"]:
        return line
    # What a catalog lacks is in its own part, and its reason holds an age that changes each time.
    wrong = next((each for each in document["reasons"] if not each.startswith("catalog ")), None)
    return f"not ready; {line}" if wrong is None else f"not ready ({wrong}); {line}"


def _catalog(catalog: Mapping[str, Any], holder: str, is_stalled: bool) -> str:  # noqa: FBT001
    facts = [
        catalog["phase"],
        f"{catalog['live_models']} models",
        _freshness(catalog["freshness_s"]),
    ]
    if is_stalled:
        facts.insert(1, "stands still")
    if catalog["quarantined_models"]:
        facts.append(f"{catalog['quarantined_models']} quarantined")
    if catalog["removals_waiting"]:
        facts.append(f"{catalog['removals_waiting']} removals wait")
    if catalog["lease"]["holder"] not in {None, holder}:
        facts.append("standing by")
    return f"{catalog['name']}: {', '.join(facts)}"


def _freshness(freshness_s: float | None) -> str:
    """Coarse, so that the line stands still while all goes as it should."""
    if freshness_s is None:
        return "never complete"
    if freshness_s < 5 * _MINUTE_S:
        return "fresh"
    if freshness_s < _HOUR_S:
        # In steps of five minutes.
        return f"{5 * (int(freshness_s) // (5 * _MINUTE_S))} min old"
    if freshness_s < _DAY_S:
        return f"{int(freshness_s) // _HOUR_S} h old"
    return f"{int(freshness_s) // _DAY_S} d old"
