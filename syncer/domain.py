"""
The values that travel between the layers, and the few words every layer shares.

Owns names and shapes only. Never waits, never reads a clock, never logs.
Invariant: everything here is immutable; source time is whole milliseconds since 1970, UTC.
Kind: pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NewType, Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Millis = NewType("Millis", int)
"""A point of source time: whole milliseconds since 1970, UTC (the exactness of bounds)."""

SentOrder = NewType("SentOrder", int)
"""Position of a request among all requests ever sent for a catalog; later-sent is larger.

``epoch << 40 | n``, where ``n`` counts the requests of the process that holds the lease at that
epoch, so the order holds across restarts and takeovers without trusting any clock.
"""


NO_FINGERPRINT = 0
"""Of what was never fingerprinted: no text counts as equal to it."""

_MILLISECOND = timedelta(milliseconds=1)
_FIRST_MS = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
"""What stands for the first millisecond: the driver takes its very beginning for minus infinity,
which compares otherwise, and comes back without a time zone."""


class Clock(Protocol):
    """Time as an argument, so that tests own it."""

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC. For people and logs; never decides what is stored."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait. Cancel-safe."""
        ...


class Privacy(enum.StrEnum):
    """Which of the two listings of the source a catalog mirrors."""

    PUBLIC = "public"
    PRIVATE = "private"


class SortKey(enum.StrEnum):
    """The source's two time orders; always asked ascending."""

    CREATED = "createdAt"
    UPDATED = "updatedAt"


class Lane(enum.IntEnum):
    """Who goes first when the request budget is short; smaller goes first."""

    POLL = 0
    DELETED_FEED = 1
    SWEEP = 2
    VERIFY = 3
    BACKFILL = 4
    DETAIL = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """What a catalog is narrowed to; sent unchanged with every list request of the catalog."""

    privacy: Privacy = Privacy.PUBLIC
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    collection_ids: tuple[str, ...] = ()
    collection_id: str | None = None
    status: str | None = None
    project_id: str | None = None
    blacklisted: bool = False
    original_assets: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One list request, complete but for the scope and the credentials."""

    sort_key: SortKey
    after_ms: Millis | None
    """Exclusive lower bound on ``sort_key``."""
    before_ms: Millis | None
    """Exclusive upper bound on ``sort_key``."""
    page_size: int
    token: str | None = None
    """The source's own continuation, opaque."""
    type: str | None = None
    """Narrow to one type (a type partition). Replaces the scope's ``types``."""
    tag: str | None = None
    """Narrow to one tag (a tag partition). Replaces the scope's ``tags``."""
    is_deleted_feed: bool = False
    """Ask what was deleted lately instead of what is listed (private). Replaces ``status``."""


class Model(NamedTuple):
    """One usable catalog record, normalised: secrets redacted, URL signatures cut."""

    id: str
    created_ms: Millis
    updated_ms: Millis
    body: bytes
    """The whole normalised record as JSON, unknown fields included."""
    content_hash: bytes
    """16 bytes over the stable content; see ``syncer.api.normalise``."""
    name: str | None = None
    type: str | None = None
    privacy: str | None = None
    status: str | None = None
    source: str | None = None
    custom: bool | None = None
    tags: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    collection_ids: tuple[str, ...] | None = None
    author_id: str | None = None
    owner_id: str | None = None
    parent_model_id: str | None = None
    short_description: str | None = None
    access_restrictions: int | None = None
    training_images_number: int | None = None
    thumbnail_asset_id: str | None = None
    drift: tuple[str, ...] = ()
    """The API's names of fields whose JSON type was not the documented one (column is NULL)."""
    fingerprint: int = NO_FINGERPRINT
    """Of the text that it was read from; see ``Listed``."""


class Listed(NamedTuple):
    """One catalog record as it was listed, read no further than a walk needs.

    Whether it is usable shows when the rest is read (``syncer.api.record.read_listed``), which is
    worth doing only for what the mirror does not hold already.
    """

    id: str
    created_ms: Millis
    updated_ms: Millis
    owner_id: str | None
    fingerprint: int
    """64 bits, signed, over ``raw``: records with equal ones are equal, but not the other way
    round: the source orders keys anew as it likes."""
    raw: bytes
    """As received, but for the queries of signed URLs."""
    path: str
    """Where it stood in the answer."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """One catalog record that cannot be stored as a model; it goes to quarantine."""

    key: str
    """The model's id where one was readable, else ``sha256:`` and the digest."""
    reason: str
    """One lower-case sentence: what is wrong with it, with the JSON path."""
    raw: bytes
    """The record as received, secrets and signatures redacted."""
    created_ms: Millis | None = None
    updated_ms: Millis | None = None
    has_id: bool = True
    digest: bytes = b""
    """Tells whether the record has changed, as far as it can be read; empty: by its bytes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One decoded answer of the source: the unit of commit."""

    entries: tuple[Listed | Model | Unusable, ...]
    """In the order in which the source listed them."""
    next_token: str | None
    """``None`` is the end of the listing (absent, ``null`` and ``""`` all mean the end)."""
    source_now_ms: Millis | None
    """The ``Date`` header; ``None`` when absent or unreadable."""
    sent_order: SentOrder
    size_bytes: int = 0
    """Of the decoded body."""


@dataclass(frozen=True, slots=True)
class Blind:
    """A range of ``createdAt`` in which a record without a readable id was listed."""

    after_ms: Millis | None
    """Exclusive start; ``None``: from the beginning."""
    before_ms: Millis | None
    """Exclusive end; ``None``: to the end."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one page of a sweep proves to be listed."""

    ids: tuple[str, ...]
    """Of usable and unusable models alike."""
    blind: Blind | None = None
    """Where it proves nothing, because a listed record could not be told apart."""


@dataclass(frozen=True, slots=True)
class Absences:
    """What a sweep has confirmed, before anything is removed."""

    absent: int
    """Live models whose absence was confirmed; rows named by the deleted feed do not count."""
    recent: int
    """Models removed in the last 24 h for the same reason."""
    live: int
    """Live models of the mirror, the absent ones included."""
    is_listing_empty: bool
    """Not one model was listed."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A span that was crossed by token and is being read until two readings agree."""

    after_ms: Millis | None
    """Exclusive start."""
    upto_ms: Millis | None
    """Inclusive end; ``None``: to the walk's own end (only empty pages were seen)."""
    readings: int
    digest: int
    """Order-independent digest of the ids of the last reading, repeats counted."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The durable progress of one walk: everything up to ``after_ms`` has been handed out."""

    key: SortKey
    after_ms: Millis | None = None
    """Exclusive lower bound of the next question; ``None``: from the beginning."""
    before_ms: Millis | None = None
    """Exclusive upper bound; ``None``: to the end of the listing."""
    crossing: Crossing | None = None
    done: bool = False


PROBE = "probe"
"""The strategy of a cycle that is over when its first answer is the last."""


class CycleKind(enum.StrEnum):
    """What a planned pass is for."""

    BACKFILL = "backfill"
    DELTA = "delta"
    SWEEP = "sweep"


class PartitionPhase(enum.StrEnum):
    """How far a partition of a cycle has come."""

    PENDING = "pending"
    WALKING = "walking"
    COMPLETE = "complete"
    DROPPED = "dropped"
    """The source no longer accepts the partition's filter; the proof walk covers its models."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One independently crawled part of a cycle, as planned."""

    name: str
    walk: Walk
    type: str | None = None
    tag: str | None = None
    is_proof: bool = False
    """The unfiltered walk that proves the others complete; it goes last."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle will ask, and why that way."""

    kind: CycleKind
    strategy: str
    """``time``, ``type``, ``tag`` or ``probe``."""
    reason: str
    partitions: tuple[Partition, ...]
    estimated_models: int | None
    """``None`` while nobody knows."""
    estimated_requests: int | None

    @property
    def ceiling_ms(self) -> Millis | None:
        """The frozen upper bound of a backlog; ``None`` for any other walk."""
        before_ms = self.partitions[0].walk.before_ms if self.kind is CycleKind.DELTA else None
        return None if before_ms is None else Millis(before_ms - 1)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One planned pass as stored; a restart finishes it under the same source time."""

    cycle_id: int
    catalog: str
    kind: CycleKind
    strategy: str
    reason: str
    source_now_ms: Millis
    """``Date`` of the cycle's first page; never re-read on resume."""
    ceiling_ms: Millis | None
    low_ms: Millis | None = None
    """Of a sweep: below it delta walks had read everything when it began; ``None`` where there are
    none."""
    age_s: float = 0.0
    """Since it was stored, when it was read (database clock)."""

    @property
    def is_one_answer(self) -> bool:
        """Whether a single answer was the whole cycle: the listing as it was at one moment."""
        return self.strategy == PROBE


@dataclass(frozen=True, slots=True)
class Proven:
    """What a complete cycle says about its catalog."""

    watermark_ms: Millis
    head_ms: Millis | None
    """Newest believable source time seen."""
    is_fresh: bool = True
    """Whether the mirror is as complete as it can be; new models alone do not make it so."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The stored progress of one partition; moves in the transaction of the page it speaks of."""

    cycle_id: int
    partition: Partition
    """With its walk as of this checkpoint."""
    phase: PartitionPhase
    newest_ms: Millis | None = None
    """Newest ``updatedAt`` handed out."""
    pages: int = 0
    models: int = 0
    seq: int = 0
    """Grows by one per commit."""


def to_datetime(at_ms: int) -> datetime:
    """The aware UTC datetime of a source time, exact to the millisecond.

    A step beyond the years 1 to 9999 (a bound beside a model of that very instant) is cut off at
    them.
    """
    if at_ms <= _FIRST_MS:
        return FIRST_INSTANT
    return EPOCH + timedelta(milliseconds=min(at_ms, _LAST_MS))


def to_millis(at: datetime) -> Millis:
    """The source time of an aware datetime; finer digits are cut off (floor)."""
    return Millis((at - EPOCH) // _MILLISECOND)


def format_millis(at_ms: int) -> str:
    """The form the API writes and accepts: ``2026-08-21T16:57:39.268Z``."""
    return to_datetime(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def known_id(entry: Listed | Model | Unusable) -> str:
    """The key under which an entry is told apart from its neighbours."""
    return entry.key if isinstance(entry, Unusable) else entry.id


def key_time(entry: Listed | Model | Unusable, key: SortKey) -> Millis | None:
    """The entry's time under a sort key; ``None`` when it has no readable one."""
    return entry.created_ms if key is SortKey.CREATED else entry.updated_ms
