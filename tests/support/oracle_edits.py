"""
What the source does to itself while it is mirrored, as values that Hypothesis can draw.

Owns the edits, and what a mirror cannot know of them: which models are gone, which have changed
without a trace in ``updatedAt``, which were away for a moment.
Kind: edge (simulated source).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.mirror import SLIM, START

from syncer.api.decode import decode_model
from syncer.domain import Model, Unusable
from syncer.simulator.catalog import Order, Scope
from syncer.simulator.instants import format_ms, to_datetime, to_ms

if TYPE_CHECKING:
    from datetime import datetime

    from support.mirror import SourceTime

    from syncer.simulator import SimulatedSource
    from syncer.simulator.catalog import Record

MAX_MODELS = 15
LONG_AGO = START - timedelta(days=100)
TAGS = ("Image to Image", "Text to Image", "Video")
TRACED = (
    *("add", "add", "add_beside_created", "add_beside_updated", "add_crowd"),
    *("update", "update", "update_crowd", "drift"),
    *("remove", "restore_touched"),
    *("late_update", "late_update", "late_add"),
    *("spoil", "add_spoilt", "add_nameless", "mend"),
)
"""Edits that show in ``updatedAt``, or need not be seen; the commoner ones twice."""
UNTRACED = ("silent", "restore", "surface")
"""Edits that only a sweep finds."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the source."""

    kind: str
    pick: int = 0
    """Which model, modulo their number."""
    amount: int = 0
    """How many, how late, which variant: as the kind needs it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens before one answer."""

    edits: tuple[Edit, ...] = ()
    tick_ms: int = 0


@dataclass(slots=True)
class Author:
    """Edits one source, and remembers."""

    source: SimulatedSource
    time: SourceTime
    overlap_ms: int
    with_tags: bool = True
    """Whether a model may lose its tags; where they are the scope it must not."""
    removed: set[str] = field(default_factory=set)
    untraced: set[str] = field(default_factory=set)
    """Models whose present state only a sweep can find."""
    absent_at: dict[str, int] = field(default_factory=dict)
    """When a model was last away, in edits."""
    edits: int = 0
    _numbers: int = 0
    _read: dict[str, tuple[Record, Model | Unusable]] = field(default_factory=dict)

    def play(self, turn: Turn) -> None:
        """Let the turn's changes happen."""
        self.time.advance(turn.tick_ms / 1000)
        for edit in turn.edits:
            self.apply(edit)

    def apply(self, edit: Edit) -> None:
        """Let one change happen; one that has nothing to change is none."""
        self.edits += 1
        getattr(self, f"_{edit.kind}")(edit)

    def listed(self) -> dict[str, Model | Unusable]:
        """What the source lists now, as it can be read, by the source's own id."""
        self.source.settle()
        keys = self.source.catalog.view(Scope(), Order.CREATED)
        return {model_id: self._decoded(model_id) for _, model_id in keys}

    @property
    def has_pending(self) -> bool:
        """Whether something was published that no listing shows yet."""
        self.source.settle()
        return bool(self.source.catalog._pending)

    def record(self, model_id: str) -> Record | None:
        """The listed record itself: another one after each edit."""
        return self.source.catalog.get(model_id)

    def leave_something(self) -> None:
        """An empty listing is the guard's business."""
        if not any(isinstance(each, Model) for each in self.listed().values()):
            self.apply(Edit("add"))

    # --- edits that show

    def _add(self, _edit: Edit) -> None:
        self._new()

    def _add_beside_created(self, edit: Edit) -> None:
        """On the very instant of another, in the order that stands still."""
        if (other := self._any(edit)) is not None:
            self._new(createdAt=to_datetime(other.created_ms))

    def _add_beside_updated(self, edit: Edit) -> None:
        """On the very instant of another, in the order that moves; as late as may be."""
        if (other := self._any(edit)) is None:
            return
        earliest = to_ms(self.time.now) - self.overlap_ms
        at = to_datetime(max(other.updated_ms, earliest))
        self._new(createdAt=min(at, to_datetime(other.created_ms)), updatedAt=at)

    def _add_crowd(self, edit: Edit) -> None:
        for _ in range(2 + edit.amount):
            self._new(createdAt=LONG_AGO)

    def _update(self, edit: Edit) -> None:
        self._change(self._any(edit))

    def _update_crowd(self, edit: Edit) -> None:
        """A bulk edit: neighbours get one ``updatedAt``."""
        for number in range(2 + edit.amount):
            self._change(self._any(Edit("update", edit.pick + number)))

    def _drift(self, edit: Edit) -> None:
        """Values and types of values that nobody has announced."""
        if not self.with_tags:
            self._change(self._any(edit), type="splat-9000")
            return
        variants: tuple[dict[str, Any], ...] = (
            {"type": "splat-9000"},
            {"type": 7},
            {"tags": [TAGS[edit.pick % len(TAGS)]]},
            {"tags": []},
            {"trainingImagesNumber": "many"},
        )
        self._change(self._any(edit), **variants[edit.amount % len(variants)])

    def _remove(self, edit: Edit) -> None:
        found = sorted(self.listed())
        if not found:
            return
        model_id = found[edit.pick % len(found)]
        self.source.remove_model(model_id)
        self.removed.add(model_id)
        self.untraced.discard(model_id)
        self.absent_at[model_id] = self.edits

    def _restore_touched(self, edit: Edit) -> None:
        if (model_id := self._gone(edit)) is not None:
            self.source.restore_model(model_id, touch=True)
            self.untraced.discard(model_id)

    def _late_update(self, edit: Edit) -> None:
        if (model := self._any(edit)) is not None:
            self.source.publish_later(
                {"id": model.id, "name": self._name()}, after_s=self._late_s(edit)
            )
            self.untraced.discard(model.id)

    def _late_add(self, edit: Edit) -> None:
        if self._has_room():
            new = SLIM | {"id": self._id(), "name": self._name(), "tags": list(TAGS)}
            self.source.publish_later(new, after_s=self._late_s(edit))

    def _spoil(self, edit: Edit) -> None:
        """A model becomes a record that cannot be stored."""
        if (model := self._any(edit)) is not None:
            self._put_spoilt(model.id, to_datetime(model.created_ms), edit.amount % 2)

    def _add_spoilt(self, edit: Edit) -> None:
        if self._has_room():
            self._put_spoilt(self._id(), self.time.now, edit.amount % 3)

    def _add_nameless(self, _edit: Edit) -> None:
        """A record without a readable id."""
        if self._has_room():
            self._put_spoilt(self._id(), self.time.now, 3)

    def _mend(self, edit: Edit) -> None:
        """What cannot be read becomes a model."""
        if spoilt := self.spoilt():
            model_id = spoilt[edit.pick % len(spoilt)]
            record = self.source.catalog.get(model_id)
            assert record is not None
            created = format_ms(record.created_ms)
            fields = {"id": model_id, "createdAt": created, "tags": list(TAGS)}
            self.source.update_model(model_id, name=self._name(), **fields)
            self.untraced.discard(model_id)

    def spoilt(self) -> list[str]:
        """The source's ids of what cannot be read."""
        listed = self.listed().items()
        return sorted(model_id for model_id, each in listed if isinstance(each, Unusable))

    # --- edits that only a sweep finds

    def _silent(self, edit: Edit) -> None:
        self._change(self._any(edit), touch=False)

    def _restore(self, edit: Edit) -> None:
        if (model_id := self._gone(edit)) is not None:
            self.source.restore_model(model_id)
            self.untraced.add(model_id)

    def _surface(self, edit: Edit) -> None:
        """A model that was private until now, with the dates it always had."""
        at = LONG_AGO + timedelta(milliseconds=edit.amount)
        if (model_id := self._new(createdAt=at, updatedAt=at)) is not None:
            self.untraced.add(model_id)

    # --- the hand that writes

    def _new(self, **overrides: Any) -> str | None:
        if not self._has_room():
            return None
        model_id = self._id()
        chosen = {"id": model_id, "name": self._name(), "tags": list(TAGS)} | overrides
        self.source.add_model(**(SLIM | chosen))
        return model_id

    def _change(self, model: Model | None, *, touch: bool = True, **changes: Any) -> None:
        if model is None:
            return
        self.source.update_model(model.id, touch=touch, **({"name": self._name()} | changes))
        (self.untraced.discard if touch else self.untraced.add)(model.id)

    def _put_spoilt(self, model_id: str, created: datetime, variant: int) -> None:
        now = self.time.now
        record: dict[str, object] = {
            "id": model_id,
            "name": self._name(),
            "createdAt": format_ms(to_ms(created)),
            "updatedAt": format_ms(to_ms(now)),
        }
        spoilt: tuple[dict[str, object], ...] = (
            {"name": f"a\0{self._numbers}"},
            {"createdAt": "2026-02-31T00:00:00.000Z"},
            {"updatedAt": None},
            {"id": None},
        )
        raw = json.dumps(record | spoilt[variant]).encode()
        self.source.put_raw(model_id, raw, created_at=created, updated_at=now)
        self.untraced.discard(model_id)

    def _any(self, edit: Edit) -> Model | None:
        usable = [each for each in self.listed().values() if isinstance(each, Model)]
        usable.sort(key=lambda model: model.id)
        return usable[edit.pick % len(usable)] if usable else None

    def _gone(self, edit: Edit) -> str | None:
        gone = sorted(self.removed)
        if not gone or not self._has_room():
            return None
        model_id = gone[edit.pick % len(gone)]
        self.removed.remove(model_id)
        return model_id

    def _has_room(self) -> bool:
        return len(self.listed()) < MAX_MODELS

    def _late_s(self, edit: Edit) -> float:
        """In quarters of the overlap, all of it included; the index is never later."""
        return min(1 + edit.amount % 4, 4) * self.overlap_ms / 4000

    def _id(self) -> str:
        self._numbers += 1
        # Within an instant the source sorts by id: newer ones come before and after the others.
        return f"{'zam'[self._numbers % 3]}{self._numbers:04}"

    def _name(self) -> str:
        self._numbers += 1
        return f"v{self._numbers}"

    def _decoded(self, model_id: str) -> Model | Unusable:
        record = self.source.catalog.get(model_id)
        assert record is not None
        known = self._read.get(model_id)
        if known is None or known[0] is not record:
            # Without volatile values a row is served as it stands here.
            known = self._read[model_id] = (record, decode_model(record.row.text))
        return known[1]
