"""
Pages and batches made by hand, for tests that choose what arrives in which order.

Owns readable defaults. Never asks a source.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from syncer.api.decode import decode_model, read_listed
from syncer.domain import Model, Page, SentOrder, Unusable, format_millis
from syncer.store.rows import Batch, batch_from_page

if TYPE_CHECKING:
    pass

CATALOG = "public"
AT_MS = 1_790_000_000_000


def make_model(model_id: str, *, updated_ms: int = AT_MS, **fields: Any) -> Model:
    """A usable model; the same call gives the same content."""
    times = {"createdAt": format_millis(AT_MS), "updatedAt": format_millis(updated_ms)}
    record = {"id": model_id, "type": "custom", "name": model_id} | times | fields
    model = decode_model(json.dumps(record).encode())
    assert isinstance(model, Model)
    return model


def make_page(*entries: Model | Unusable, sent: int = 1, token: str | None = None) -> Page:
    """A page that answers the request sent as number ``sent``."""
    return Page(entries, token, None, SentOrder(sent))


def make_batch(*entries: Model | Unusable, sent: int = 1) -> Batch:
    """What a page with these entries brings."""
    return batch_from_page(CATALOG, make_page(*entries, sent=sent), read_listed)
