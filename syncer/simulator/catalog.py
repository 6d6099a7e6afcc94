"""
The models of the simulated source, and their listings in order.

Owns the records, the sorted views of each scope, and what becomes visible when. Never sees a
request, never reads a clock.
Invariant: a view equals the matching records sorted by its key, after every edit.
Kind: pure.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from syncer.simulator.rows import Row

Key = tuple[int, str]
"""Sort value (milliseconds, or negated score) and id: equal instants still have one order."""

VIEWS_KEPT = 96
"""Sorted views kept up to date at once; a view beyond is built again when it is asked for."""

DELETED_FEED_MS = 30 * 24 * 3_600_000
"""How long ``status=deleted`` shows a deleted model (UPSTREAM §2.2)."""

LOADED_SHARE = 5
"""One model in so many is loaded on a GPU."""


class Order(enum.StrEnum):
    """What a listing is sorted by."""

    CREATED = "createdAt"
    UPDATED = "updatedAt"
    SCORE = "score"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One model: its encoded row, and what listings sort and select by."""

    id: str
    row: Row
    created_ms: int
    updated_ms: int
    privacy: str = "public"
    type: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    owner: str = ""
    score: int = 0
    deleted_ms: int | None = None
    blacklisted: bool = False

    def key(self, order: Order) -> Key:
        """Where the record stands in a listing."""
        if order is Order.CREATED:
            return (self.created_ms, self.id)
        if order is Order.UPDATED:
            return (self.updated_ms, self.id)
        return (-self.score, self.id)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which records a listing shows; ``None`` does not select."""

    privacy: str = "public"
    types: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    collections: frozenset[str] | None = None
    status: str | None = None
    owner: str | None = None
    deleted: bool = False
    blacklisted: bool = False
    loaded: bool = False

    def matches(self, record: Record) -> bool:
        """Whether the record is in the listing."""
        return (
            record.privacy == self.privacy
            and (record.deleted_ms is not None) == self.deleted
            and (self.types is None or record.type in self.types)
            and (self.tags is None or not self.tags.isdisjoint(record.tags))
            and self._matches_rare(record)
        )

    def _matches_rare(self, record: Record) -> bool:
        return (
            (self.status is None or record.status == self.status)
            and (self.owner is None or record.owner == self.owner)
            and (self.collections is None or not self.collections.isdisjoint(record.collections))
            and (self.blacklisted or not record.blacklisted)
            and (not self.loaded or sum(record.id.encode()) % LOADED_SHARE == 0)
        )


class Catalog:
    """All models, whatever their privacy, and their sorted views."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = {record.id: record for record in records}
        self._views: OrderedDict[tuple[Scope, Order], list[Key]] = OrderedDict()
        self._pending: list[tuple[int, int, Record]] = []
        self._published = 0

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def get(self, model_id: str) -> Record | None:
        """The record as the listings know it, deleted ones included."""
        return self._records.get(model_id)

    def newest(self, model_id: str) -> Record | None:
        """The record as a retrieve by id knows it: ahead of the listings' index."""
        versions = [record for _, _, record in self._pending if record.id == model_id]
        listed = self._records.get(model_id)
        if listed is not None:
            versions.append(listed)
        return max(versions, key=lambda record: record.updated_ms, default=None)

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of the same id, in every view."""
        old = self._records.get(record.id)
        self._records[record.id] = record
        for (scope, order), keys in self._views.items():
            before = old.key(order) if old is not None and scope.matches(old) else None
            after = record.key(order) if scope.matches(record) else None
            if before == after:
                continue
            if before is not None:
                del keys[bisect_left(keys, before)]
            if after is not None:
                insort(keys, after)

    def drop(self, model_id: str) -> Record | None:
        """Remove a record from every view, and whatever of it was still to appear."""
        self._pending = [entry for entry in self._pending if entry[2].id != model_id]
        self._pending.sort()
        old = self._records.pop(model_id, None)
        if old is None:
            return None
        for (scope, order), keys in self._views.items():
            if scope.matches(old):
                del keys[bisect_left(keys, old.key(order))]
        return old

    def put_later(self, record: Record, visible_ms: int) -> None:
        """Keep a version out of the listings until ``settle`` is told that its time has come."""
        self._published += 1
        heappush(self._pending, (visible_ms, self._published, record))

    def settle(self, now_ms: int) -> None:
        """Show what is due, and forget what the deleted feed no longer reaches."""
        while self._pending and self._pending[0][0] <= now_ms:
            record = heappop(self._pending)[2]
            listed = self._records.get(record.id)
            # An index that is late never replaces a version by an older one.
            if listed is None or listed.updated_ms <= record.updated_ms:
                self.put(record)
        for key in self._expired(now_ms):
            self.drop(key)

    def view(self, scope: Scope, order: Order) -> list[Key]:
        """The live sorted keys of a listing; not to be changed by the caller."""
        keys = self._views.get((scope, order))
        if keys is None:
            keys = sorted(record.key(order) for record in self if scope.matches(record))
            self._views[(scope, order)] = keys
            if len(self._views) > VIEWS_KEPT:
                self._views.popitem(last=False)
        else:
            self._views.move_to_end((scope, order))
        return keys

    def row(self, model_id: str) -> Row:
        """The encoded row of a listed model."""
        return self._records[model_id].row

    def _expired(self, now_ms: int) -> list[str]:
        feed = self.view(Scope(privacy="private", deleted=True, blacklisted=True), Order.CREATED)
        horizon = now_ms - DELETED_FEED_MS
        return [
            model_id for _, model_id in feed if (self._records[model_id].deleted_ms or 0) < horizon
        ]


def bounds(keys: list[Key], after_ms: int | None, before_ms: int | None) -> tuple[int, int]:
    """The slice of a time view strictly between two instants."""
    low = 0 if after_ms is None else bisect_left(keys, (after_ms + 1, ""))
    high = len(keys) if before_ms is None else bisect_left(keys, (before_ms, ""))
    return low, max(low, high)


def passed_rows(
    keys: list[Key], window: tuple[int, int], last: Key, *, descending: bool = False
) -> int:
    """How many rows of a window come no later than ``last``, whether or not it is still listed."""
    low, high = window
    passed = high - bisect_left(keys, last) if descending else bisect_right(keys, last) - low
    return min(max(0, passed), high - low)
