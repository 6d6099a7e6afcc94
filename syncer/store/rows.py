"""
Turn pages into batches of rows: one row per key, in key order.

Owns the shape of a row on its way to PostgreSQL. Never decides which of two stored versions wins.
Invariant: a batch is sorted by the byte order of its ids (the collation of the key) and holds each
id once, the newest version, the later place in the listing on a tie.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from syncer.domain import Millis, Model, Page, SentOrder, Unusable, to_datetime

ROW_COLUMNS = (
    "catalog",
    "id",
    "name",
    "type",
    "privacy",
    "status",
    "source",
    "custom",
    "tags",
    "capabilities",
    "collection_ids",
    "author_id",
    "owner_id",
    "parent_model_id",
    "short_description",
    "access_restrictions",
    "training_images_number",
    "thumbnail_asset_id",
    "created_at",
    "updated_at",
    "body",
    "content_hash",
    "sent_order",
)
"""Columns of ``scenario.models`` that a page fills, in the order of ``syncer.model_row``."""

_PLAIN = attrgetter("id", "name", "type", "privacy", "status", "source", "custom")
_REST = attrgetter(
    "author_id",
    "owner_id",
    "parent_model_id",
    "short_description",
    "access_restrictions",
    "training_images_number",
    "thumbnail_asset_id",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one page brings to one catalog."""

    catalog: str
    models: tuple[Model, ...]
    """Sorted by id, each id once."""
    unusable: tuple[Unusable, ...]
    """Sorted by key, each key once."""
    sent_order: SentOrder
    newest_ms: Millis | None
    """Newest ``updatedAt`` of the page, unusable models included."""
    drift: tuple[str, ...] = ()
    """Names of fields that were not of the documented type, each once, sorted."""

    @property
    def ids(self) -> list[str]:
        """The ids of the usable models, sorted."""
        return [model.id for model in self.models]


def batch_from_page(catalog: str, page: Page) -> Batch:
    """Sort and de-duplicate a page."""
    models: dict[str, Model] = {}
    unusable: dict[str, Unusable] = {}
    for entry in page.entries:
        if isinstance(entry, Unusable):
            unusable[entry.key] = entry
            continue
        listed = models.get(entry.id)
        if listed is None or entry.updated_ms >= listed.updated_ms:
            models[entry.id] = entry
    return Batch(
        catalog=catalog,
        models=tuple(sorted(models.values(), key=_key_bytes)),
        unusable=tuple(unusable[key] for key in sorted(unusable) if key not in models),
        sent_order=page.sent_order,
        newest_ms=_newest(page.entries),
        drift=tuple(sorted({name for model in models.values() for name in model.drift})),
    )


def set_aside(batch: Batch, refused: Iterable[Unusable]) -> Batch:
    """The batch without the models that PostgreSQL refused; those go to quarantine instead."""
    aside = {entry.key: entry for entry in refused}
    return replace(
        batch,
        models=tuple(model for model in batch.models if model.id not in aside),
        unusable=tuple(sorted((*batch.unusable, *aside.values()), key=attrgetter("key"))),
    )


def row_from_model(batch: Batch, model: Model) -> tuple[Any, ...]:
    """The values of ``ROW_COLUMNS``."""
    return (
        batch.catalog,
        *_PLAIN(model),
        model.tags,
        model.capabilities,
        model.collection_ids,
        *_REST(model),
        to_datetime(model.created_ms),
        to_datetime(model.updated_ms),
        model.body,
        model.content_hash,
        batch.sent_order,
    )


def _key_bytes(model: Model) -> bytes:
    return model.id.encode()


def _newest(entries: Iterable[Model | Unusable]) -> Millis | None:
    times = [entry.updated_ms for entry in entries if entry.updated_ms is not None]
    return max(times, default=None)
