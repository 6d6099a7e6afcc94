"""
Decide whether a sweep may remove what it found absent.

Owns the guard against a source that lists too little: wrong credentials, another project and a
broken index all look like a mass deletion (UPSTREAM §7). Never removes anything.
Invariant: a handful of removals always passes; a listing without a single model never removes any.
Kind: pure.
"""

from __future__ import annotations

from syncer.domain import Absences

ALWAYS_ALLOWED = 5
"""Removals that pass whatever share of the catalog they are: small catalogs lose models too."""


def refusal(
    absences: Absences, *, max_removed_fraction: float, allowed: int | None = None
) -> str | None:
    """Why the removals must wait; ``None`` when they may pass.

    Args:
        absences: what was confirmed.
        max_removed_fraction: share of the live models that may go within 24 h.
        allowed: an operator's one-time ceiling, which stands in for the rule.
    """
    absent, live = absences.absent, absences.live
    if absent == 0:
        return None
    if allowed is not None:
        if absent <= allowed:
            return None
        return f"{absent} models are gone from the source, {allowed} removals are allowed"
    if absences.is_listing_empty:
        return f"the source lists no model at all, the mirror holds {live}"
    total = absent + absences.recent
    if total <= ALWAYS_ALLOWED or total <= max_removed_fraction * live:
        return None
    earlier = f" and {absences.recent} went in the last 24 h" if absences.recent else ""
    return (
        f"{absent} of {live} models are gone from the source{earlier}, which is more than "
        f"max_removed_fraction = {max_removed_fraction:g} of them"
    )
