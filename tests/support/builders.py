"""Values with readable defaults: ``model("m1", at=5)``, ``page("m1@5 m2@5", more="t1")``."""

from __future__ import annotations

from typing import Any

from syncer.domain import (
    Checkpoint,
    Millis,
    Model,
    Page,
    Partition,
    PartitionPhase,
    SentOrder,
    SortKey,
    Unusable,
    Walk,
)


def model(model_id: str, at: int = 0, **fields: Any) -> Model:
    """A model created and updated at ``at``."""
    return Model(
        id=model_id,
        created_ms=Millis(at),
        updated_ms=Millis(at),
        **{"body": b"{}", "content_hash": bytes(16)} | fields,
    )


def page(listed: str = "", *, more: str | None = None, now: int | None = None) -> Page:
    """The models of ``listed``, each ``id@time``; ``?`` for a time that cannot be read."""
    entries: list[Model | Unusable] = []
    for word in listed.split():
        model_id, at = word.split("@")
        if at == "?":
            entries.append(Unusable(model_id, "createdAt is not a date", b"{}"))
        else:
            entries.append(model(model_id, int(at)))
    source_now_ms = None if now is None else Millis(now)
    return Page(tuple(entries), more, source_now_ms, SentOrder(1))


def walk(
    after: int | None = None, before: int | None = None, key: SortKey = SortKey.CREATED, **more: Any
) -> Walk:
    """A walk between two exclusive bounds."""
    low = None if after is None else Millis(after)
    high = None if before is None else Millis(before)
    return Walk(key, low, high, **more)


def checkpoint(
    name: str = "everything", at: Walk | None = None, *, is_proof: bool = False, **fields: Any
) -> Checkpoint:
    """A partition that is waiting."""
    partition = Partition(name, at or walk(), is_proof=is_proof)
    return Checkpoint(1, partition, **{"phase": PartitionPhase.PENDING} | fields)
