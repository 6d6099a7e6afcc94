"""
What the change records say, and whether it is what happened.

Owns reading ``scenario.model_changes`` and ``scenario.models_at`` by an outsider's connection, and
the replay of the records. Never writes.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer.api.normalise import canonical_fields, without_volatile
from syncer.api.record import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import asyncpg

Content = dict[str, bytes]
"""The fields of a model, spelled so that equal content is equal bytes."""

Contents = dict[tuple[str, str], Content]
"""By catalog and id."""

_CHANGES = (
    "SELECT change_id, catalog, id, operation, changed_fields, before::text AS before,"
    " after::text AS after, source_updated_at, committed_at"
    " FROM scenario.model_changes ORDER BY change_id"
)
_ROWS = (
    "SELECT catalog, id, body::text AS body FROM scenario.models WHERE removed_at IS NULL"
    " ORDER BY catalog, id"
)
_AT = "SELECT catalog, id, body::text AS body FROM scenario.models_at($1)"


@dataclass(frozen=True, slots=True)
class Told:
    """One change record."""

    change_id: int
    key: tuple[str, str]
    operation: str
    changed_fields: list[str] | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source_updated_at: datetime
    committed_at: datetime

    @property
    def short(self) -> tuple[str, str, list[str] | None]:
        """What a test speaks of."""
        return self.key[1], self.operation, self.changed_fields


async def changes(observer: asyncpg.Connection[asyncpg.Record]) -> list[Told]:
    """All change records, in their order."""
    return [_told(record) for record in await observer.fetch(_CHANGES)]


async def live_contents(
    observer: asyncpg.Connection[asyncpg.Record],
) -> Contents:
    """The content of each live model, as the table says."""
    return _contents(await observer.fetch(_ROWS))


async def contents_at(observer: asyncpg.Connection[asyncpg.Record], at: datetime) -> Contents:
    """The content of each model that was live at a time, as the history says."""
    return _contents(await observer.fetch(_AT, at))


async def lies(observer: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Where the records of a whole mirror, replayed, lead to something else than is live now."""
    async with observer.transaction(isolation="repeatable_read", readonly=True):
        return list(untrue(await changes(observer), await live_contents(observer)))


def untrue(told: Iterable[Told], live: Contents) -> Iterator[str]:
    """Where the records, replayed, lead to something else than what is live now."""
    is_live: dict[tuple[str, str], bool] = {}
    fields: dict[tuple[str, str], dict[str, Any]] = {}
    dated: datetime | None = None
    for each in told:
        was_live = is_live.get(each.key)
        wanted = {"insert": None, "update": True, "remove": True, "restore": False}
        if was_live is not wanted[each.operation]:
            yield f"{each.key} was {was_live} before {each.operation} {each.change_id}"
        is_live[each.key] = each.operation != "remove"
        known = fields.setdefault(each.key, {})
        for name in each.changed_fields or ():
            before, after = each.before or {}, each.after or {}
            if name in known and _content({name: known[name]}) != _content(
                {name: before.get(name)}
            ):
                yield f"{each.key}.{name}: {each.change_id} does not go on from the one before"
            known[name] = after.get(name)
        if dated is not None and each.committed_at < dated:
            yield f"{each.change_id} is dated before the change that precedes it"
        dated = each.committed_at
    for key in sorted(live.keys() ^ {key for key, lives in is_live.items() if lives}):
        yield f"{key} is {'live' if key in live else 'not live'}, the records say otherwise"
    for key in live.keys() & fields.keys():
        for name, value in fields[key].items():
            if _content({name: value}).get(name) != live[key].get(name, b"null"):
                yield f"{key}.{name} is not what the last change of it brought"


def content_of(body: bytes | str) -> Content:
    """The content of a stored body."""
    return canonical_fields(read_stored(body.encode() if isinstance(body, str) else body))


def stable_of(body: bytes | str) -> dict[str, object]:
    """A body without its volatile values."""
    return without_volatile(read_stored(body.encode() if isinstance(body, str) else body))


def _content(record: dict[str, Any]) -> Content:
    return content_of(json.dumps(record))


def _contents(records: list[asyncpg.Record]) -> Contents:
    return {(record["catalog"], record["id"]): content_of(record["body"]) for record in records}


def _told(record: asyncpg.Record) -> Told:
    before, after = record["before"], record["after"]
    return Told(
        change_id=record["change_id"],
        key=(record["catalog"], record["id"]),
        operation=record["operation"],
        changed_fields=record["changed_fields"],
        before=None if before is None else json.loads(before),
        after=None if after is None else json.loads(after),
        source_updated_at=record["source_updated_at"],
        committed_at=record["committed_at"],
    )
