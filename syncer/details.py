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
from syncer.cycle import store_policy
from syncer.domain import Lane, Model, Unusable
from syncer.errors import (
    ExitCode,
    PageTooLarge,
    RowUnstorable,
    SourceRefused,
    SourceRejected,
    SourceUnavailable,
    SyncerError,
    Verdict,
)
from syncer.store.details import DetailCount, DetailStore, OpenDetail
from syncer.telemetry import Event

BATCH_SIZE: Final = 100
"""Open models that are looked up at once."""

CHANGES_AT_ONCE: Final = 1000

WORKERS: Final = 4
"""Requests under way at most; a budget of 90 a minute keeps one or two busy."""

FIRST_WAIT_S: Final = 300.0
"""Before a model that could not be had is asked for again; then twice as long each time."""

TROUBLES_IN_A_ROW: Final = 10
"""So many models that cannot be had are no accident: the source is asked again at the next poll."""


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


@dataclass(frozen=True, slots=True)
class DetailResult:
    """What a command has made of a catalog's details, and how complete they are now."""

    tally: DetailTally
    count: DetailCount

    @property
    def open(self) -> int:
        """Live models that are still to be asked for."""
        return self.count.wanted - self.count.stored - self.count.failed

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
            "open": self.open,
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
            while due := await self._store.list_due(BATCH_SIZE):
                await self._fetch_all(due, tally)
        except SyncerError as error:
            tally.error = error
        self._say(tally)
        return tally

    async def count(self) -> DetailCount:
        """How complete they are."""
        return await self._store.count()

    async def _look_through(self, tally: DetailTally) -> None:
        if self._read_to is None:
            # Before the first look, so that what changes meanwhile is looked at afterwards.
            self._read_to = await self._store.read_last_change()
        while self._scan_after is not None:
            opens = await self._store.list_open(self._scan_after, BATCH_SIZE)
            await self._fetch_all(opens, tally)
            self._scan_after = opens[-1].id if opens else None

    async def _look_at_changes(self, tally: DetailTally) -> None:
        read_to: int | None = self._read_to
        while read_to is not None:
            self._read_to = read_to
            read_to, opens = await self._store.list_changed(read_to, CHANGES_AT_ONCE)
            await self._fetch_all(opens, tally)

    async def _fetch_all(self, opens: Sequence[OpenDetail], tally: DetailTally) -> None:
        """Raises what ended it; those that are left stay open."""
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
        context = self.context
        policy = store_policy(context)
        try:
            model = await self._ask(detail)
            changed: bool = await policy(self._store.store, detail, model)
        except (SourceRejected, SourceRefused, PageTooLarge, RowUnstorable) as error:
            await policy(self._store.set_aside, detail, error.message, FIRST_WAIT_S)
            tally.failed += 1
            self._troubles += 1
            log = context.voice.log(model=detail.id)
            log.warning(Event.DETAIL_FAILED, reason=error.message)
            if self._troubles >= TROUBLES_IN_A_ROW:
                raise
        else:
            self._troubles = 0
            tally.fetched += 1
            tally.changed += changed

    async def _ask(self, detail: OpenDetail) -> Model:
        """One request.

        Raises:
            SourceRejected: there are no details of that model to be had.
            SourceError: as ``SourceClient.fetch_model``.
        """
        body = await self.context.source.fetch_model(
            detail.id, project_id=self.context.settings.scope.project_id, lane=Lane.DETAIL
        )
        if body is None:
            raise SourceRejected("the source lists the model and does not know its id (404)")
        try:
            retrieved = decode_retrieved(body)
        except SourceUnavailable as error:
            raise SourceRejected(error.message) from error
        if isinstance(retrieved, Unusable):
            raise SourceRejected(retrieved.reason)
        if retrieved.id != detail.id:
            raise SourceRejected(f"the source answered with another model, {retrieved.id}")
        return retrieved

    def _say(self, tally: DetailTally) -> None:
        error = tally.error
        is_stopped = error is not None and error.verdict is Verdict.STOP
        if not (tally.fetched or tally.failed or (error and not is_stopped)):
            return
        log = self.context.voice.log(
            fetched=tally.fetched, changed=tally.changed, failed=tally.failed
        )
        if error is None or is_stopped:
            log.info(Event.DETAILS_FETCHED)
        else:
            log.warning(Event.DETAILS_FETCHED, exc_info=error)
