"""
Fetch what no list shows of a model: one request for each that is new or has changed.

Owns which model is asked for when, and what is set aside. Never holds up a poll, a sweep or a
backfill: its requests go last. Never decides what is stored of a record.
Invariant: what is open follows from the tables (``syncer.store.details``); this only remembers up
to where it has looked. Whatever ends it, the next one goes on.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from syncer.api.decode import decode_retrieved
from syncer.context import CatalogContext
from syncer.crawl import Hand, unless_stopped
from syncer.cycle import store_policy
from syncer.domain import Lane, Model, Unusable, format_millis
from syncer.errors import (
    ExitCode,
    PageTooLarge,
    RowUnstorable,
    SourceRefused,
    SourceRejected,
    SourceUnavailable,
    SyncerError,
)
from syncer.store.details import DetailCount, DetailStore, OpenDetail

MODELS_AT_ONCE: Final = 1000
"""Models, or changes, that are looked through at once."""

DUE_AT_ONCE: Final = 100

WORKERS: Final = 4
"""Requests under way at most; a budget of 90 a minute keeps one or two busy. The limiter lets the
details of all catalogs together have half the places at most."""

FIRST_WAIT_S: Final = 300.0
"""Before a model that could not be had is asked for again; then twice as long each time."""

TROUBLES_IN_A_ROW: Final = 10
"""So many models that cannot be had are no accident: the source is asked again at the next poll."""

MANY: Final = 20
"""So many take long enough for people to wonder: they are counted, and their progress is shown."""

DECODE_HERE_BYTES: Final = 512 * 1024
"""A larger record is decoded in a thread: it takes 22 ms per MB, and the event loop is not to be
late by more than 20 ms."""

UNAUTHORIZED: Final = 401

OF_ONE_MODEL: Final = (
    SourceRejected,
    SourceRefused,
    SourceUnavailable,
    PageTooLarge,
    RowUnstorable,
)
"""What can be wrong with one model alone, when others can be had."""


@dataclass(slots=True)
class DetailTally:
    """What one look at the details has done."""

    fetched: int = 0
    changed: int = 0
    """Of those, with other content than before."""
    failed: int = 0
    """Set aside."""
    error: SyncerError | None = None
    """Why it ended before all was done."""
    is_announced: bool = False
    """Whether people were told how many there are."""


@dataclass(frozen=True, slots=True)
class DetailResult:
    """What a command has made of a catalog's details, and how complete they are now."""

    tally: DetailTally
    count: DetailCount

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """What they contribute to the exit code: those that were set aside wait for somebody."""
        codes = set[ExitCode]()
        if self.tally.error is not None:
            codes.add(self.tally.error.exit_code)
        if self.count.failed:
            codes.add(ExitCode.NOT_ALL_WELL)
        return frozenset(codes)

    @property
    def document(self) -> dict[str, int]:
        """What ``--json`` prints of them."""
        return {
            "fetched": self.tally.fetched,
            "changed": self.tally.changed,
            "stored": self.count.stored,
            "failed": self.count.failed,
            "open": self.count.open,
        }


async def fetch_details(context: CatalogContext) -> DetailResult:
    """All that are open, once.

    Raises:
        StoreError: they cannot be counted afterwards.
    """
    details = Details(context)
    tally = await details.catch_up()
    return DetailResult(tally, await details.count())


@dataclass(slots=True)
class Details:
    """The details of one catalog, under one lease."""

    context: CatalogContext
    _store: DetailStore = field(init=False)
    _read_to: int | None = None
    """The change up to which all changes were looked at; ``None``: nothing was looked at yet."""
    _scan_after: str | None = ""
    """The id up to which the catalog was looked through; ``None``: to its end."""
    _troubles: int = 0
    _decoding: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One large record after the other."""

    def __post_init__(self) -> None:
        pages = self.context.pages
        self._store = DetailStore(pages.pool, pages.queries, pages.lease)

    async def catch_up(self) -> DetailTally:
        """Fetch all that is open, until it is done, told to stop, or the source does not answer.

        The first call looks through the whole catalog, each other one at what has changed since.

        Cancel-safe: yes; what was fetched and not stored is fetched again.
        """
        tally = DetailTally()
        self._troubles = 0
        try:
            await self._look_through(tally)
            await self._look_at_changes(tally)
            while due := await self._store.list_due(DUE_AT_ONCE):
                await self._fetch_all(due, tally)
        except SyncerError as error:
            tally.error = error
        facts = {"fetched": tally.fetched, "changed": tally.changed, "failed": tally.failed}
        self.context.voice.details_finished(facts, tally.error)
        return tally

    async def count(self) -> DetailCount:
        """How complete they are."""
        return await self._store.count()

    async def _look_through(self, tally: DetailTally) -> None:
        if self._read_to is None:
            # Before the first look, so that what changes meanwhile is looked at afterwards.
            self._read_to = await self._store.read_last_change()
        while self._scan_after is not None:
            last_id, opens = await self._store.list_open(self._scan_after, MODELS_AT_ONCE)
            await self._fetch_all(opens, tally)
            self._scan_after = last_id

    async def _look_at_changes(self, tally: DetailTally) -> None:
        read_to: int | None = self._read_to
        while read_to is not None:
            self._read_to = read_to
            read_to, opens = await self._store.list_changed(read_to, MODELS_AT_ONCE)
            await self._fetch_all(opens, tally)

    async def _fetch_all(self, opens: Sequence[OpenDetail], tally: DetailTally) -> None:
        """Raises what ended it; those that are left stay open."""
        if len(opens) >= MANY and not tally.is_announced:
            tally.is_announced = True
            self.context.voice.details_started((await self.count()).open)
        waiting, errors = deque(opens), list[SyncerError]()

        async def work() -> None:
            while waiting and not errors:
                try:
                    self.context.stop.check()
                    await self._fetch(waiting.popleft(), tally)
                except SyncerError as error:
                    # Inside the worker, so that the others end what they have in hand.
                    errors.append(error)

        async with asyncio.TaskGroup() as group:
            for number in range(min(WORKERS, len(waiting))):
                group.create_task(work(), name=f"details {self.context.name} {number + 1}")
        if errors:
            raise errors[0]

    async def _fetch(self, detail: OpenDetail, tally: DetailTally) -> None:
        """One model: stored, or set aside.

        Raises:
            SyncerError: it is not this model alone that cannot be had.
        """
        fetched_before = tally.fetched
        try:
            with self.context.hand() as hand:
                changed = await self._store_retrieved(detail, hand, tally)
        except OF_ONE_MODEL as error:
            if isinstance(error, SourceRefused) and error.context.get("status") == UNAUTHORIZED:
                raise
            await self._set_aside(detail, error, tally)
            # Nobody got anything for the whole retry deadline: it is the source, not the model. It
            # is set aside all the same, or a few of these would be all that is ever asked for.
            is_down = isinstance(error, SourceUnavailable) and tally.fetched == fetched_before
            if is_down or self._troubles >= TROUBLES_IN_A_ROW:
                raise
        else:
            self._troubles = 0
            tally.fetched += 1
            tally.changed += changed
            self.context.voice.detail_stored(changed=changed)

    async def _store_retrieved(self, detail: OpenDetail, hand: Hand, tally: DetailTally) -> bool:
        model = await self._ask(detail, hand)
        policy = store_policy(self.context)
        if model.updated_ms >= detail.listed_ms:
            changed: bool = await policy(self._store.store, detail, model)
            return changed
        reason = (
            f"the source shows it as of {format_millis(model.updated_ms)}, and lists it as of "
            f"{format_millis(detail.listed_ms)}"
        )
        changed = await policy(self._store.store_older, detail, model, reason, FIRST_WAIT_S)
        self.context.voice.detail_failed(detail.id, reason)
        tally.failed += 1
        return changed

    async def _set_aside(self, detail: OpenDetail, error: SyncerError, tally: DetailTally) -> None:
        policy = store_policy(self.context)
        await policy(self._store.set_aside, detail, error.message, FIRST_WAIT_S)
        self.context.voice.detail_failed(detail.id, error.message)
        tally.failed += 1
        self._troubles += 1

    async def _ask(self, detail: OpenDetail, hand: Hand) -> Model:
        """One request; what it brings is counted in ``hand``.

        Raises:
            SourceRejected: there are no details of that model to be had.
            SourceError: as ``SourceClient.fetch_model``.
        """
        body = await unless_stopped(self._retrieve(detail, hand), self.context.stop)
        if body is None:
            raise SourceRejected("the source lists the model and does not know its id (404)")
        try:
            retrieved = await self._decode(body)
        except SourceUnavailable as error:
            raise SourceRejected(error.message) from error
        if isinstance(retrieved, Unusable):
            raise SourceRejected(retrieved.reason)
        if retrieved.id != detail.id:
            raise SourceRejected(f"the source answered with another model, {retrieved.id}")
        return retrieved

    async def _retrieve(self, detail: OpenDetail, hand: Hand) -> bytes | None:
        scope = self.context.settings.scope
        body = await self.context.source.fetch_model(
            detail.id,
            project_id=scope.project_id,
            lane=Lane.DETAIL,
            original_assets=scope.original_assets,
        )
        # Here, with nothing to wait for in between: the client counts it up to its return.
        hand.take(len(body or b""))
        return body

    async def _decode(self, body: bytes) -> Model | Unusable:
        """Cancel-safe: yes; what the thread still does is finite, and nobody looks at it."""
        if len(body) <= DECODE_HERE_BYTES:
            return decode_retrieved(body)
        async with self._decoding:
            return await asyncio.to_thread(decode_retrieved, body)
