"""
The status document: what ``status --json``, ``/status.json`` and ``/readyz`` say.

Owns the shape of the document (public contract, DESIGN §3) and the rule for "ready". Never reads a
database or a clock.
Invariant: a configured catalog is always listed, also before anything is known of it.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from syncer import __version__
from syncer.config import CatalogSettings, Settings
from syncer.domain import Privacy, format_millis, to_millis
from syncer.store.status import CatalogRow, PartitionRow

Document = dict[str, Any]

SWEEPS_UNTIL_STALE = 2
"""One may take long, or have to be resumed."""


def build_status(
    settings: Settings,
    rows: Sequence[CatalogRow],
    partitions: Sequence[PartitionRow],
    *,
    now: datetime,
    problems: Iterable[str] = (),
) -> Document:
    """The whole document. ``problems``: what is wrong beside the catalogs (schema, database)."""
    by_name = {row.catalog: row for row in rows}
    configured = {catalog.name: catalog for catalog in settings.catalogs}
    reasons = [*problems]
    for name, catalog in configured.items():
        row = by_name.get(name)
        limit_s = freshness_limit(catalog, row, page_size=settings.source.page_size)
        reasons.extend(_unready(catalog, row, settings.limits.stall_after_s, limit_s))
    names = [*configured, *(row.catalog for row in rows if row.catalog not in configured)]
    return {
        "version": __version__,
        "generated_at": _text(now),
        "ready": not reasons,
        "reasons": reasons,
        "catalogs": [
            _catalog(name, configured.get(name), by_name.get(name), partitions) for name in names
        ],
    }


def freshness_limit(catalog: CatalogSettings, row: CatalogRow | None, *, page_size: int) -> float:
    """Seconds after which a catalog is stale.

    A private listing of several pages is as fresh as its last sweep: polls do not refresh it, so
    their interval alone would call it stale between any two sweeps.
    """
    limit_s = catalog.effective_freshness_limit_s
    # While removals wait, polls look for what is new and changed only.
    is_swept_by_polls = row is None or (row.live_models < page_size and not row.removals_waiting)
    if catalog.privacy is Privacy.PUBLIC or catalog.freshness_limit_s or is_swept_by_polls:
        return limit_s
    return max(limit_s, SWEEPS_UNTIL_STALE * catalog.sweep_interval_s)


def _unready(
    catalog: CatalogSettings, row: CatalogRow | None, stall_after_s: float, limit_s: float
) -> list[str]:
    if row is None:
        return [f"catalog {catalog.name}: nothing is mirrored yet"]
    if row.phase == "blocked":
        return [f"catalog {catalog.name}: blocked: {row.last_error_message}"]
    if row.backfilled_at is None:
        if row.moved_s is not None and row.moved_s <= stall_after_s:
            return []
        return [f"catalog {catalog.name}: the first backfill is not complete and does not move"]
    if row.freshness_s is None or row.freshness_s > limit_s:
        shown = "unknown" if row.freshness_s is None else f"{row.freshness_s:.0f} s"
        return [f"catalog {catalog.name}: freshness is {shown}, the limit is {limit_s:.0f} s"]
    return []


def _catalog(
    name: str,
    configured: CatalogSettings | None,
    row: CatalogRow | None,
    partitions: Sequence[PartitionRow],
) -> Document:
    if row is None:
        privacy = str(configured.privacy) if configured else None
        return _unknown(name, privacy)
    return {
        "name": name,
        "privacy": row.privacy,
        "phase": row.phase,
        "watermark": _text(row.watermark),
        "head": _text(row.head),
        "lag_s": row.lag_s,
        "freshness_s": row.freshness_s,
        "live_models": row.live_models,
        "removed_models": row.removed_models,
        "quarantined_models": row.quarantined_models,
        "removals_waiting": row.removals_waiting,
        "last_cycle": _last_cycle(row),
        "last_error": _error(row),
        "lease": {
            "holder": row.holder if row.lease_valid else None,
            "epoch": row.epoch,
            "expires_at": _text(row.expires_at) if row.lease_valid else None,
        },
        "partitions": [_partition(each) for each in partitions if each.catalog == name],
        # Only where they are fetched: a key more than the contract has.
        **({} if row.details is None else {"details": asdict(row.details)}),
    }


def _unknown(name: str, privacy: str | None) -> Document:
    return {
        "name": name,
        "privacy": privacy,
        "phase": "new",
        "watermark": None,
        "head": None,
        "lag_s": None,
        "freshness_s": None,
        "live_models": 0,
        "removed_models": 0,
        "quarantined_models": 0,
        "removals_waiting": 0,
        "last_cycle": None,
        "last_error": None,
        "lease": {"holder": None, "epoch": None, "expires_at": None},
        "partitions": [],
    }


def _last_cycle(row: CatalogRow) -> Document | None:
    if row.last_cycle_kind is None:
        return None
    return {
        "kind": row.last_cycle_kind,
        "outcome": row.last_cycle_outcome,
        "started_at": _text(row.last_cycle_started_at),
        "finished_at": _text(row.last_cycle_finished_at),
    }


def _error(row: CatalogRow | PartitionRow) -> Document | None:
    if row.last_error_at is None:
        return None
    return {
        "at": _text(row.last_error_at),
        "message": row.last_error_message,
        "hint": row.last_error_hint,
    }


def _partition(row: PartitionRow) -> Document:
    reached = row.after_at
    if row.phase == "complete":
        reached = row.before_at - timedelta(milliseconds=1) if row.before_at else row.newest_at
    return {
        "name": row.partition,
        "phase": row.phase,
        "watermark": _text(reached),
        "models": row.models,
        "pages": row.pages,
        "last_error": _error(row),
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else format_millis(to_millis(at))
