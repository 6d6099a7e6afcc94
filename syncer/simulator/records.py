"""
From a model as a dictionary to a record that listings can sort and select by.

Owns the tolerant reading of a model's fields; whatever cannot be read sorts as now.
Kind: pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncer.simulator.catalog import Record
from syncer.simulator.instants import parse_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncer.simulator.rows import Row


def build_record(
    model_id: str,
    model: Mapping[str, Any],
    *,
    now_ms: int,
    encode: Callable[[dict[str, Any]], Row],
    score: int = 0,
) -> Record:
    """The record of a model; ``model_id`` is what the source knows it by."""
    created_ms = parse_ms(model.get("createdAt"))
    updated_ms = parse_ms(model.get("updatedAt"))
    return Record(
        id=model_id,
        row=encode(dict(model)),
        created_ms=now_ms if created_ms is None else created_ms,
        updated_ms=now_ms if updated_ms is None else updated_ms,
        privacy=_text(model.get("privacy"), "public"),
        type=_text(model.get("type")),
        status=_text(model.get("status")),
        tags=_texts(model.get("tags")),
        collections=_texts(model.get("collectionIds")),
        owner=_text(model.get("ownerId")),
        score=score,
        deleted_ms=parse_ms(model.get("deletedAt")),
    )


def _text(value: object, default: str = "") -> str:
    return value if isinstance(value, str) else default


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))
