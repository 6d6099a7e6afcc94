"""
Compare a source and its mirror, both read completely.

Owns what "they agree" means: the same ids, each in the same version. Never reads either.
Invariant: a model is missing, extra, stale, in quarantine or equal; nothing is left out.
Kind: pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from syncer.domain import Millis


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a model from another, on either side."""

    name: str | None
    type: str | None
    updated_ms: Millis
    changed_at: datetime | None = None
    """When the mirror last changed the row; the source has no such thing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that the source listed."""

    models: Mapping[str, Version]
    unusable: frozenset[str]
    """Keys of what was listed and cannot be stored."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found; ids in order."""

    source_models: int
    """Listed, unusable ones included."""
    mirror_models: int
    quarantined: int
    """Listed, unusable, and kept in quarantine."""
    missing: tuple[str, ...]
    """Listed, and neither mirrored nor in quarantine."""
    extra: tuple[str, ...]
    """Mirrored and not listed."""
    stale: tuple[str, ...]
    """On both sides, in different versions."""

    @property
    def agrees(self) -> bool:
        """Whether the mirror is the source, by id and by version."""
        return not (self.missing or self.extra or self.stale)


def compare(
    source: Listing, mirror: Mapping[str, Version], *, quarantine: Collection[str]
) -> Comparison:
    """Compare by id, and by ``updatedAt`` to the millisecond."""
    kept = source.unusable.intersection(quarantine)
    missing = (source.models.keys() - mirror.keys()) | (source.unusable - kept)
    stale = {
        model_id
        for model_id in source.models.keys() & mirror.keys()
        if source.models[model_id].updated_ms != mirror[model_id].updated_ms
    }
    return Comparison(
        source_models=len(source.models) + len(source.unusable),
        mirror_models=len(mirror),
        quarantined=len(kept),
        missing=tuple(sorted(missing)),
        extra=tuple(sorted(mirror.keys() - source.models.keys())),
        stale=tuple(sorted(stale)),
    )


def count_types(
    source: Mapping[str, Version], mirror: Mapping[str, Version]
) -> tuple[tuple[str, int, int], ...]:
    """Type, models at the source, models in the mirror; the most frequent first."""
    listed = Counter(version.type or "" for version in source.values())
    mirrored = Counter(version.type or "" for version in mirror.values())
    names = sorted(listed.keys() | mirrored.keys(), key=lambda name: (-listed[name], name))
    return tuple((name, listed[name], mirrored[name]) for name in names)


def find_changes(
    before: Mapping[str, Version], after: Mapping[str, Version]
) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of the rows that were inserted and of those that were written, between two readings."""
    inserted = after.keys() - before.keys()
    written = {
        model_id
        for model_id in after.keys() & before.keys()
        if after[model_id].changed_at != before[model_id].changed_at
    }
    return frozenset(inserted), frozenset(written)
