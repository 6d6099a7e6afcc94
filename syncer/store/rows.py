"""
Turn pages into batches of rows: one row per key, in key order.

Owns the shape of a row on its way to PostgreSQL. Never decides which of two stored versions wins.
Invariant: a batch is sorted by the byte order of its ids (the collation of the key) and holds each
id once, the newest version, the later place in the listing on a tie.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from syncer.domain import Listed, Millis, Model, Page, SentOrder, Unusable, to_datetime

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
    "fingerprint",
)
"""Columns of ``scenario.models`` that a page fills, in the order of ``syncer.model_row``."""

STEP_BYTES = 128 * 1024
"""Records are read for about 1 ms, then others may have their turn."""

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
    same: tuple[Listed | Model, ...] = ()
    """Sorted by id: what the mirror holds with this content already. Nothing is written for it."""

    @property
    def ids(self) -> list[str]:
        """The ids of the usable models, sorted."""
        if not self.same:
            return [model.id for model in self.models]
        return [model.id for model in self.usable]

    @property
    def usable(self) -> list[Listed | Model]:
        """All usable models, sorted by id."""
        return sorted((*self.models, *self.same), key=_key_bytes)


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A page's records, each once, before anybody asked which of them are stored already."""

    catalog: str
    records: tuple[Listed | Model, ...]
    """Sorted by id, each id once; of those not read yet some may prove unusable."""
    unusable: tuple[Unusable, ...]
    sent_order: SentOrder
    newest_ms: Millis | None


Read = Callable[[Listed], Model | Unusable]
"""Reads a record to its end (``syncer.api.decode.read_listed``)."""


def raw_batch_from_page(catalog: str, page: Page) -> RawBatch:
    """Sort and de-duplicate a page."""
    records: dict[str, Listed | Model] = {}
    unusable: dict[str, Unusable] = {}
    for entry in page.entries:
        if isinstance(entry, Unusable):
            unusable[entry.key] = entry
            continue
        earlier = records.get(entry.id)
        if earlier is None or entry.updated_ms >= earlier.updated_ms:
            records[entry.id] = entry
    return RawBatch(
        catalog=catalog,
        records=tuple(sorted(records.values(), key=_key_bytes)),
        unusable=tuple(unusable.values()),
        sent_order=page.sent_order,
        newest_ms=_newest(page.entries),
    )


def read_batch(
    raw: RawBatch, read: Read, stored: Mapping[str, bytes | None] | None = None
) -> Batch:
    """``read_in_steps``, all steps at once."""
    steps = read_in_steps(raw, read, stored)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            batch: Batch = end.value
            return batch


def read_in_steps(
    raw: RawBatch, read: Read, stored: Mapping[str, bytes | None] | None = None
) -> Generator[None, None, Batch]:
    """Read what is not known to be stored already; hands over after each few records.

    Args:
        raw: a page's.
        read: called for each record that must be read to its end.
        stored: the content hash of each live row whose fingerprint is another one, ``None`` for
            an id without a live row; an id that is not in it has the row's fingerprint. ``None``:
            nobody asked, all is read.
    """
    models: list[Model] = []
    same: list[Listed | Model] = []
    unusable = {entry.key: entry for entry in raw.unusable}
    read_bytes = 0
    for record in raw.records:
        if stored is not None and record.id not in stored:
            same.append(record)
            continue
        model = read(record) if isinstance(record, Listed) else record
        if isinstance(model, Unusable):
            unusable[model.key] = model
        elif stored is not None and stored[model.id] == model.content_hash:
            same.append(record)
        else:
            models.append(model)
        read_bytes += len(model.raw if isinstance(model, Unusable) else model.body)
        if read_bytes >= STEP_BYTES:
            read_bytes = 0
            yield
    readable = {model.id for model in (*models, *same)}
    return Batch(
        catalog=raw.catalog,
        models=tuple(models),
        unusable=tuple(unusable[key] for key in sorted(unusable) if key not in readable),
        sent_order=raw.sent_order,
        newest_ms=raw.newest_ms,
        drift=tuple(sorted({name for model in models for name in model.drift})),
        same=tuple(same),
    )


def batch_from_page(catalog: str, page: Page, read: Read) -> Batch:
    """Sort and de-duplicate a page, all of it read to its end."""
    return read_batch(raw_batch_from_page(catalog, page), read)


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
        model.fingerprint,
    )


def _key_bytes(model: Listed | Model) -> bytes:
    return model.id.encode()


def _newest(entries: Iterable[Listed | Model | Unusable]) -> Millis | None:
    times = [entry.updated_ms for entry in entries if entry.updated_ms is not None]
    return max(times, default=None)
