"""
Name why a model is gone, once it is known that it is.

Owns the reasons of a tombstone. Never confirms an absence: a model that answers by id may well be
in no listing.
Kind: pure.
"""

from __future__ import annotations

import enum
from typing import Protocol

from syncer.domain import Model, Scope


class Reason(enum.StrEnum):
    """Values of ``scenario.models.removed_reason``."""

    ABSENT = "absent"
    DELETED = "deleted"
    UNLISTED = "unlisted"
    OUT_OF_SCOPE = "out_of_scope"


class Described(Protocol):
    """A model as far as filters look at it; stored or just retrieved."""

    @property
    def type(self) -> str | None:
        """Model type."""
        ...

    @property
    def status(self) -> str | None:
        """Training status."""
        ...

    @property
    def tags(self) -> tuple[str, ...] | None:
        """Tags."""
        ...

    @property
    def collection_ids(self) -> tuple[str, ...] | None:
        """Collections."""
        ...


def is_outside(scope: Scope, model: Described) -> bool:
    """Whether the scope's filters leave the model out."""
    tags, collections = set(model.tags or ()), set(model.collection_ids or ())
    return (
        bool(scope.types and model.type not in scope.types)
        or bool(scope.tags and tags.isdisjoint(scope.tags))
        or bool(scope.collection_ids and collections.isdisjoint(scope.collection_ids))
        or (scope.collection_id is not None and scope.collection_id not in collections)
        or (scope.status is not None and model.status != scope.status)
    )


def reason_of(scope: Scope, retrieved: Model | None) -> Reason:
    """Why a model is not listed, by what the source says of its id; ``None``: not known there."""
    if retrieved is None:
        return Reason.ABSENT
    if retrieved.privacy == "unlisted":
        return Reason.UNLISTED
    if retrieved.privacy == scope.privacy and is_outside(scope, retrieved):
        return Reason.OUT_OF_SCOPE
    return Reason.ABSENT
