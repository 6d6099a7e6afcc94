"""
Everything that can be chosen about the simulated source.

Owns names, defaults and their validation. Never reads an environment or a clock.
Invariant: two sources with equal options and equal clocks serve equal catalogs.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from syncer.simulator.vocabulary import ACCEPTED_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTORY_END = datetime(2025, 12, 1, 12, tzinfo=UTC)
"""Generated models were created and last updated before this instant, or before the clock's now."""

LARGEST_PAGE = 500
"""The documented upper bound of ``pageSize`` (UPSTREAM §2.2)."""


@dataclass(frozen=True)
class SimulatorOptions:
    """What kind of source to simulate; the defaults are the healthy public catalog of today."""

    models: int = 700
    """Public models to begin with."""
    private_models: int = 25
    """Private models of the caller's project to begin with, in every status."""
    seed: int = 1
    rate_per_minute: int | None = None
    """Requests answered in any 60 s, counted on arrival; 429 beyond. ``None``: unlimited."""
    latency_ms: float = 0
    """Waited before each answer."""
    faults: tuple[str, ...] = ()
    """``name`` (each request), ``name:3`` (the first three) or ``name:10%`` (a share of them)."""
    max_page_size: int = LARGEST_PAGE
    gzip: bool = True
    """Honour ``Accept-Encoding: gzip``."""
    volatile: bool = True
    """Re-sign URLs by the calendar, recompute live values, and vary key order by answer."""
    restless: bool = False
    """Sign anew and order all keys anew in each answer, which is more than the source does."""
    schema_clean: bool = False
    """Leave out what the source serves against its own published schema (UPSTREAM §10)."""
    churn_per_minute: float = 0
    """Models updated, added or removed by themselves, per minute of the clock."""
    keys: Mapping[str, str] | None = None
    """API key → secret. ``None``: any pair of non-empty strings."""
    bearer_tokens: frozenset[str] | None = None
    """Accepted tokens. ``None``: any non-empty token that, if it is a JWT, has not expired."""
    project_id: str = "proj_simulatedProject0000001"
    """Owner of the private models; another ``projectId`` sees an empty list."""
    accepted_types: tuple[str, ...] = ACCEPTED_TYPES
    """What the filters ``type`` and ``types`` accept; anything else is a 400."""
    retry_after_s: float = 1
    """What the rate-limit faults ask for."""
    drip_interval_s: float = 0.2
    """Pause between the twenty pieces of a dripping body."""
    ballast_bytes: int = 0
    """Text that each public model of the beginning carries besides, for pages of any size."""
    oversized_row_bytes: int = 262_144
    """White space that the fault ``oversized-page`` adds to each row."""

    def __post_init__(self) -> None:
        if self.models < 0 or self.private_models < 0:
            raise ValueError("models and private_models must not be negative")
        if self.restless and not self.volatile:
            raise ValueError("restless needs volatile")
        if not 1 <= self.max_page_size <= LARGEST_PAGE:
            raise ValueError(f"max_page_size must be between 1 and {LARGEST_PAGE}")
        if self.rate_per_minute is not None and self.rate_per_minute < 1:
            raise ValueError("rate_per_minute must be at least 1, or None for unlimited")
        if self.latency_ms < 0 or self.churn_per_minute < 0:
            raise ValueError("latency_ms and churn_per_minute must not be negative")
        if self.ballast_bytes < 0:
            raise ValueError("ballast_bytes must not be negative")
