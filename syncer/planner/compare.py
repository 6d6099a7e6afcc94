"""
Compare a listed model with what the mirror holds of it.

Owns what counts as a difference: version, stable content, and the columns that are derived from it,
each read from what is stored. A hash alone would not notice that somebody changed the row by hand.
Kind: pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from syncer.domain import Model

_SETS = ("tags", "capabilities", "collection_ids")
_PLAIN = (
    "created_ms",
    "updated_ms",
    "content_hash",
    "name",
    "type",
    "privacy",
    "status",
    "source",
    "custom",
    "author_id",
    "owner_id",
    "parent_model_id",
    "short_description",
    "access_restrictions",
    "training_images_number",
    "thumbnail_asset_id",
)


class Difference(enum.StrEnum):
    """How a model differs."""

    MISSING = "missing"
    """Listed by the source, not live in the mirror."""
    EXTRA = "extra"
    """Live in the mirror, not listed by the source."""
    STALE = "stale"
    """In both, with another version or content."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the mirror."""

    row: Model
    """As its columns say; the body is the stored one."""
    body_hash: bytes | None
    """Of the stable content that the stored body really has; ``None`` when it is not a model."""
    is_removed: bool


def difference(listed: Model, stored: Stored | None) -> Difference | None:
    """How the mirror's version of a listed model differs, if it does."""
    if stored is None or stored.is_removed:
        return Difference.MISSING
    is_same = (
        stored.body_hash == listed.content_hash
        and all(getattr(stored.row, name) == getattr(listed, name) for name in _PLAIN)
        and all(_set(getattr(stored.row, name)) == _set(getattr(listed, name)) for name in _SETS)
    )
    return None if is_same else Difference.STALE


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)
