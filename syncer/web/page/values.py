"""
What the status page is made from.

Owns the values that travel from the database and from the serving process to the page. Never reads
or draws anything.
Invariant: nothing here can be changed, so that a page speaks of one moment.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from syncer.status import Document


@dataclass(frozen=True, slots=True)
class RecentCycle:
    """One planned pass, finished or under way."""

    catalog: str
    kind: str
    strategy: str
    reason: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    models: int | None
    """Models read by its partitions; ``None`` once those are pruned."""
    pages: int | None


@dataclass(frozen=True, slots=True)
class ChangedModel:
    """One model, as its newest change left it."""

    catalog: str
    id: str
    name: str | None
    type: str | None
    what: str
    """``new``, ``updated`` or ``removed``."""
    updated_at: datetime
    """By the source's clock; of a removal, when it was confirmed."""
    changed_at: datetime
    """When it reached the mirror, by the database's clock."""
    thumbnail_url: str | None
    """As stored: without signature, so it need not work, and it may hold anything."""


@dataclass(frozen=True, slots=True)
class ModelCount:
    """How many models the mirror held at the end of a day."""

    day: date
    live: int
    removed: int


@dataclass(frozen=True, slots=True)
class Extras:
    """What the page shows beside the status document; one snapshot of the database."""

    cycles: tuple[RecentCycle, ...] = ()
    """Newest first."""
    changes: tuple[ChangedModel, ...] = ()
    """Newest first, by the source's clock."""
    changes_per_hour: tuple[tuple[datetime, int], ...] = ()
    """The last 48 hours, oldest first: models by the hour in which the source last changed them."""
    changes_cut_at: datetime | None = None
    """Set where there were too many to count: hours up to this one are not known."""
    models_over_time: tuple[ModelCount, ...] = ()
    """Oldest first; days on which nothing came or went are left out."""
    sampled_share: float = 1.0
    """What part of the mirror ``models_over_time`` was estimated from; 1: counted."""


@dataclass(frozen=True, slots=True)
class CatalogProgress:
    """How far the cycle of a catalog has come in this process."""

    models: int
    estimated_models: int | None
    remaining_s: float | None
    """``None``: nobody can say."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What neither document nor database know, but the serving process does."""

    freshness_limits_s: Mapping[str, float] = field(default_factory=dict)
    """By catalog; see ``syncer.status.freshness_limit``."""
    max_requests_per_minute: int | None = None
    progress: Mapping[str, CatalogProgress] = field(default_factory=dict)
    """By catalog, while a cycle runs in this process."""
    stalled_since: Mapping[str, datetime] = field(default_factory=dict)
    """By catalog: when one whose crawl stands still moved last."""
    database_problem: str | None = None
    """Why the newest state could not be read; the document is then the last one that could."""


@dataclass(frozen=True, slots=True)
class PageInput:
    """Everything that one answer of ``/`` is rendered from."""

    document: Document
    """The status document; where the database is away, the last one that could be read."""
    extras: Extras | None
    """``None``: they could not be read."""
    requests_per_minute: Sequence[tuple[datetime, int]]
    """Requests that this process sent, by the minute in which it sent them, oldest first."""
    now: datetime
    facts: Facts = field(default_factory=Facts)
