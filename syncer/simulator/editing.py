"""
Changing the simulated catalog, by hand or by itself.

Owns every edit and the truth that oracles compare with. Never sees a request.
Invariant: an edit is in every listing when its method returns, but for what ``publish_later`` holds
back.
Kind: edge (reads the clock it was given).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from syncer.simulator.catalog import Catalog, Order, Record, Scope
from syncer.simulator.generate import Generator
from syncer.simulator.instants import format_ms, parse_ms, to_datetime, to_ms
from syncer.simulator.options import HISTORY_END, SimulatorOptions
from syncer.simulator.records import build_record
from syncer.simulator.rows import Row, content, encode_row, raw_row
from syncer.simulator.shelf import Shelf
from syncer.simulator.vocabulary import SENTENCES, STYLE_TAGS

UtcClock = Callable[[], datetime]
"""The source's own wall clock: aware, UTC."""

_SCORES = 1_000_000
_MINUTE_MS = 60_000
_UPDATED_SHARE = 0.7
_CHURN_FLOOR = 0.9
"""Churn removes models only while more than this share of the first catalog is left."""


class Editing:
    """The models of a source, and the edits that a test, a demo or churn makes to them."""

    def __init__(self, options: SimulatorOptions, clock: UtcClock) -> None:
        self.options = options
        self._clock = clock
        self._rng = random.Random(f"edits {options.seed}")  # noqa: S311 - reproducible, not secret
        start_ms = self.now_ms()
        self._generator = Generator(
            options.seed,
            min(to_ms(HISTORY_END), start_ms),
            schema_clean=options.schema_clean,
            owner=options.project_id,
        )
        self._shelf = Shelf(self._generator.assets)
        self._removed: dict[str, Record] = {}
        self._churned_ms = float(start_ms)
        self.catalog = Catalog(self._record(model) for model in self._first_models())

    def now_ms(self) -> int:
        """The source's time."""
        return to_ms(self._clock())

    def add_model(self, **overrides: object) -> dict[str, Any]:
        """List a new model; created and updated now, public and plausible unless overridden."""
        return self._add(overrides, self.now_ms())

    def update_model(
        self, model_id: str, *, touch: bool = True, drop: Iterable[str] = (), **changes: object
    ) -> dict[str, Any]:
        """Change fields of a model; ``updatedAt`` becomes now unless given.

        What ``publish_later`` still held back of the model becomes visible with the edit.

        Args:
            model_id: a model in the catalog.
            touch: ``False`` is a silent edit, which leaves ``updatedAt`` alone.
            drop: fields that the model no longer has.
            changes: fields and their new values.
        """
        old = self._known(model_id)
        model = self._changed(old, changes, self.now_ms() if touch else None)
        for name in drop:
            model.pop(name, None)
        self.catalog.put(self._record(model, old))
        return model

    def remove_model(self, model_id: str) -> None:
        """Remove a model: a public one leaves no trace, a private one enters the deleted feed."""
        old = self._known(model_id)
        self.catalog.drop(model_id)
        if old.privacy != "private":
            self._removed[model_id] = old
            return
        now_ms = self.now_ms()
        model = content(old.row) | {"deletedAt": format_ms(now_ms)}
        row = self._encode(model)
        self.catalog.put(msgspec.structs.replace(old, row=row, deleted_ms=now_ms))

    def restore_model(self, model_id: str, *, touch: bool = False) -> dict[str, Any]:
        """Bring a removed model back; a private one without tags and collections (UPSTREAM §7)."""
        old = self._removed.pop(model_id, None)
        if old is not None:
            self.catalog.put(old)
            return self.update_model(model_id) if touch else content(old.row)
        old = self._known(model_id)
        if old.deleted_ms is None:
            raise KeyError(f"model {model_id} is not removed, so it cannot be restored")
        changes: dict[str, object] = {"tags": [], "collectionIds": []}
        if old.status == "training":
            changes["status"] = "training-canceled"
        return self.update_model(model_id, touch=touch, drop=("deletedAt",), **changes)

    def publish_later(
        self,
        model: Mapping[str, object],
        *,
        visible_at: datetime | None = None,
        after_s: float | None = None,
    ) -> dict[str, Any]:
        """Change or add a model now, but let the listings show it only from an instant on.

        With the id of a model that exists it is an update: the listings keep the old version until
        then. A retrieve by id shows the new version at once. ``createdAt`` and ``updatedAt`` are
        now unless given.
        """
        if (visible_at is None) == (after_s is None):
            raise TypeError("publish_later needs either visible_at or after_s")
        now_ms = self.now_ms()
        if visible_at is None:
            visible_at = to_datetime(now_ms) + timedelta(seconds=after_s or 0)
        model_id = model.get("id")
        old = self.catalog.newest(model_id) if isinstance(model_id, str) else None
        later = self._new(model, now_ms) if old is None else self._changed(old, model, now_ms)
        self.catalog.put_later(self._record(later, old), to_ms(visible_at))
        return later

    def put_raw(
        self,
        model_id: str,
        raw: bytes,
        *,
        created_at: datetime | str | None = None,
        updated_at: datetime | str | None = None,
        privacy: str = "public",
    ) -> None:
        """List a record that is served byte for byte, sorted by the two given dates or as now."""
        created_ms, updated_ms = parse_ms(_text_of(created_at)), parse_ms(_text_of(updated_at))
        now_ms = self.now_ms()
        self.catalog.put(
            Record(
                id=model_id,
                row=raw_row(raw),
                created_ms=now_ms if created_ms is None else created_ms,
                updated_ms=now_ms if updated_ms is None else updated_ms,
                privacy=privacy,
                owner=self.options.project_id if privacy == "private" else "",
            )
        )

    def set_blacklisted(self, model_id: str, *, blacklisted: bool = True) -> None:
        """Hide a model from listings that do not ask for ``blacklisted=true``, or show it again."""
        old = self._known(model_id)
        self.catalog.put(msgspec.structs.replace(old, blacklisted=blacklisted))

    def set_score(self, model_id: str, score: int) -> None:
        """Move a model in the ``score`` order, which usage does all the time."""
        self.catalog.put(msgspec.structs.replace(self._known(model_id), score=score))

    def live_models(self, privacy: str = "public") -> dict[str, dict[str, Any]]:
        """What the source lists now, by id and without signatures: the truth for an oracle.

        A raw record that holds no readable JSON object is an empty dictionary here.
        """
        self.settle()
        owner = self.options.project_id if privacy == "private" else None
        return self._truth(Scope(privacy=privacy, owner=owner))

    def deleted_models(self) -> dict[str, dict[str, Any]]:
        """What the deleted feed lists now."""
        self.settle()
        scope = Scope(privacy="private", owner=self.options.project_id, deleted=True)
        return self._truth(scope)

    def settle(self) -> None:
        """Let everything happen that is due by the source's clock: churn, late publication."""
        now_ms = self.now_ms()
        if self.options.churn_per_minute:
            step_ms = _MINUTE_MS / self.options.churn_per_minute
            while self._churned_ms + step_ms <= now_ms:
                self._churned_ms += step_ms
                self._churn(self._rng, int(self._churned_ms))
        self.catalog.settle(now_ms)

    def tick(self, rng: random.Random | None = None) -> tuple[str, str]:
        """Make one random edit now; the operation (``update``, ``add``, ``remove``) and the id."""
        return self._churn(rng or self._rng, self.now_ms())

    def _churn(self, rng: random.Random, at_ms: int) -> tuple[str, str]:
        keys = self.catalog.view(Scope(), Order.CREATED)
        if not keys:
            return ("add", str(self._add({}, at_ms)["id"]))
        model_id = keys[int(rng.random() * len(keys))][1]
        dice = rng.random()
        if dice >= _UPDATED_SHARE:
            if dice < (1 + _UPDATED_SHARE) / 2 or len(keys) <= self.options.models * _CHURN_FLOOR:
                return ("add", str(self._add({}, at_ms)["id"]))
            self.remove_model(model_id)
            return ("remove", model_id)
        old = self._known(model_id)
        changes = {"shortDescription": f"{rng.choice(SENTENCES)} {rng.choice(STYLE_TAGS)}."}
        record = self._record(self._changed(old, changes, at_ms), old)
        score = int(rng.random() * _SCORES)
        self.catalog.put(msgspec.structs.replace(record, score=score))
        return ("update", model_id)

    def _first_models(self) -> Iterable[dict[str, Any]]:
        if self.options.models:
            yield self._generator.unlisted()
        ballast = (
            {"ballast": "b" * self.options.ballast_bytes} if self.options.ballast_bytes else {}
        )
        for model in self._generator.public(self.options.models):
            yield model | ballast
        yield from self._generator.private(self.options.private_models)

    def _add(self, overrides: Mapping[str, object], at_ms: int) -> dict[str, Any]:
        model = self._new(overrides, at_ms)
        self.catalog.put(self._record(model))
        return model

    def _new(self, overrides: Mapping[str, object], at_ms: int) -> dict[str, Any]:
        model = self._generator.model(at_ms)
        if overrides.get("privacy") == "private":
            model["ownerId"] = self.options.project_id
        return model | {name: _plain(value) for name, value in overrides.items()}

    def _changed(
        self, old: Record, changes: Mapping[str, object], updated_ms: int | None
    ) -> dict[str, Any]:
        model = content(old.row)
        if updated_ms is not None:
            model["updatedAt"] = format_ms(updated_ms)
        return model | {name: _plain(value) for name, value in changes.items()}

    def _record(self, model: Mapping[str, Any], old: Record | None = None) -> Record:
        record = build_record(
            old.id if old is not None else str(model.get("id")),
            model,
            now_ms=self.now_ms(),
            encode=self._encode,
            score=old.score if old is not None else int(self._rng.random() * _SCORES),
        )
        if old is not None and old.blacklisted:
            return msgspec.structs.replace(record, blacklisted=True)
        return record

    def _encode(self, model: dict[str, Any]) -> Row:
        options = self.options
        return encode_row(
            model, volatile=options.volatile, restless=options.restless, shelf=self._shelf
        )

    def _known(self, model_id: str) -> Record:
        self.catalog.settle(self.now_ms())
        record = self.catalog.newest(model_id)
        if record is None:
            raise KeyError(f"model {model_id} is not in the simulated catalog")
        return record

    def _truth(self, scope: Scope) -> dict[str, dict[str, Any]]:
        keys = self.catalog.view(scope, Order.CREATED)
        return {model_id: content(self.catalog.row(model_id)) for _, model_id in keys}


def _plain(value: object) -> object:
    return _text_of(value) if isinstance(value, datetime) else value


def _text_of(at: object) -> object:
    return format_ms(to_ms(at)) if isinstance(at, datetime) else at
