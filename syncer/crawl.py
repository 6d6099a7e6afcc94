"""
Crawl one partition: fetch a page, hand it over, fetch the next one meanwhile.

Owns the order of fetch and commit within a partition. Never decides what a page means (planner),
whether a request is worth a retry (api) or what is written (store).
Invariant: pages are committed in the order in which they were asked; at most one page is being
fetched while one is being committed; a checkpoint is derived from the page it is committed with.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from syncer.api.room import PAGE_GOAL_BYTES
from syncer.domain import Checkpoint, Lane, Page, PartitionPhase, Question, Scope, SentOrder
from syncer.errors import PageTooLarge, SyncerError
from syncer.planner.walk import Reading, advance, next_question

T = TypeVar("T")


class PageSource(Protocol):
    """Where pages come from."""

    async def fetch_page(
        self,
        scope: Scope,
        question: Question,
        *,
        lane: Lane,
        next_sent_order: Callable[[], SentOrder],
    ) -> Page:
        """One answer, retried as its errors deserve."""
        ...

    async def fetch_model(
        self,
        model_id: str,
        *,
        project_id: str | None,
        lane: Lane,
        original_assets: bool = False,
    ) -> bytes | None:
        """One model's answer as sent; ``None`` when the source does not know the id."""
        ...


class Hand(Protocol):
    """Counts the bytes of pages that were read and are not stored yet; never waits."""

    def take(self, size_bytes: int) -> None:
        """Count a page."""
        ...

    def drop(self, size_bytes: int) -> None:
        """Count it no more."""
        ...


class _NoCount:
    def take(self, size_bytes: int) -> None:
        """Count nothing."""

    def drop(self, size_bytes: int) -> None:
        """Count nothing."""


@contextmanager
def uncounted() -> Iterator[Hand]:
    """A hand of any size."""
    yield _NoCount()


class StopSignal:
    """Asks work to end between two pages, and says why."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._children: weakref.WeakSet[StopSignal] = weakref.WeakSet()
        self.reason: SyncerError | None = None

    def child(self) -> StopSignal:
        """A signal for a part of the work: follows this one, but not the other way round."""
        child = StopSignal()
        self._children.add(child)
        if self.reason is not None:
            child.set(self.reason)
        return child

    def set(self, reason: SyncerError) -> None:
        """The first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._event.set()
            for child in self._children:
                child.set(reason)

    @property
    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until somebody asks to stop. Cancel-safe."""
        await self._event.wait()

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        if self.reason is not None:
            raise self.reason


@dataclass(frozen=True, slots=True)
class Stride:
    """One page on its way to the store, with the checkpoints before and after it."""

    page: Page
    before: Checkpoint
    after: Checkpoint
    cut_off: tuple[Checkpoint, ...] = ()
    """Parts that were cut off this partition at this page, to be begun with its commit."""


def _accept(_page: Page) -> None:
    """Any page will do."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How the questions of one catalog are asked."""

    source: PageSource
    scope: Scope
    lane: Lane
    page_size: int
    next_sent_order: Callable[[], SentOrder]
    on_page_halved: Callable[[int], None]
    """Told the new page size after an answer was too large."""
    check: Callable[[Page], None] = _accept
    """Raises what forbids an answer to be used at all."""
    is_deleted_feed: bool = False
    hand: Callable[[], AbstractContextManager[Hand]] = uncounted
    """Opened for each crawl."""
    page_goal_bytes: int = PAGE_GOAL_BYTES
    """What a page may be expected to have when more models are asked for again."""

    def resized(self, last: Fetched, reading: Reading) -> Fetcher:
        """Asks for as many models as the last answer did, or twice as many where that is little.

        One large model makes the page around it small, and not the rest of the partition.
        """
        size = last.page_size
        is_light = 4 * last.page.size_bytes <= self.page_goal_bytes
        # A token speaks of pages of its size.
        if size < self.page_size and is_light and reading.token is None:
            size = min(self.page_size, 2 * size)
        return replace(self, page_size=size)

    async def fetch(self, checkpoint: Checkpoint, reading: Reading) -> Fetched:
        """Ask what comes next; a page too large for us is asked again in halves, down to 1.

        Raises:
            PageTooLarge: even one model is over the cap.
            SyncerError: as the source decides.
        """
        size = self.page_size
        while True:
            question = next_question(
                checkpoint.partition.walk,
                reading,
                page_size=size,
                type_=checkpoint.partition.type,
                tag=checkpoint.partition.tag,
            )
            if self.is_deleted_feed:
                question = replace(question, is_deleted_feed=True)
            try:
                page = await self.source.fetch_page(
                    self.scope, question, lane=self.lane, next_sent_order=self.next_sent_order
                )
            except PageTooLarge:
                if size == 1:
                    raise
                size //= 2
                self.on_page_halved(size)
                # A token speaks of pages of the old size. What is read for the fifth time still is.
                reading = Reading(unequal=reading.unequal)
            else:
                self.check(page)
                return Fetched(page, reading, size)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page and what it answered."""

    page: Page
    reading: Reading
    """Where the token chain stood when the page was asked."""
    page_size: int


CutRule = Callable[[Stride], Stride]
"""May shorten ``after`` and fill ``cut_off``; looks at who is idle."""

Commit = Callable[[Stride], Awaitable[None]]


async def crawl_partition(
    checkpoint: Checkpoint,
    *,
    fetcher: Fetcher,
    commit: Commit,
    cut: CutRule,
    stop: StopSignal,
    first: Fetched | None = None,
) -> None:
    """Walk a partition from its checkpoint to its end, committing every page.

    ``first`` is the answer to the checkpoint's next question, when it was asked already.

    Raises:
        SyncerError: the source's, the store's, or the reason to stop; pages committed before
            that stay.
    Cancel-safe: yes; an unfinished commit has an unknown outcome and is found out on resume.
    """
    error: SyncerError | None = None
    with fetcher.hand() as hand:
        if first is not None:
            hand.take(first.page.size_bytes)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(stop.wait(), name="stop")
            fetching: asyncio.Task[Fetched | SyncerError] | None = None
            fetched: Fetched | SyncerError | None = first
            try:
                while checkpoint.phase is not PartitionPhase.COMPLETE:
                    stop.check()
                    if fetched is None:
                        fetching = fetching or _ask(group, fetcher, checkpoint, Reading(), hand)
                        await asyncio.wait(
                            {fetching, stopping}, return_when=asyncio.FIRST_COMPLETED
                        )
                        stop.check()
                        fetched, fetching = fetching.result(), None
                    if isinstance(fetched, SyncerError):
                        raise fetched
                    stride, reading = _stride(checkpoint, fetched)
                    stride = cut(stride)
                    if stride.after.phase is not PartitionPhase.COMPLETE:
                        resized = fetcher.resized(fetched, reading)
                        fetching = _ask(group, resized, stride.after, reading, hand)
                    fetched = first = None
                    await commit(stride)
                    checkpoint = stride.after
                    hand.drop(stride.page.size_bytes)
                    # Or it would stay in memory until the next page is here.
                    del stride
            except SyncerError as caught:
                error = caught
            finally:
                stopping.cancel()
                if fetching is not None:
                    fetching.cancel()
    if error is not None:
        raise error


def _ask(
    group: asyncio.TaskGroup,
    fetcher: Fetcher,
    checkpoint: Checkpoint,
    reading: Reading,
    hand: Hand,
) -> asyncio.Task[Fetched | SyncerError]:
    return group.create_task(
        _fetch_or_error(fetcher, checkpoint, reading, hand),
        name=f"fetch {checkpoint.partition.name}",
    )


async def fetch_unless_stopped(
    fetcher: Fetcher, checkpoint: Checkpoint, reading: Reading, stop: StopSignal
) -> Fetched:
    """Ask one question, or leave when somebody asks to stop: the budget may let it wait a minute.

    Raises:
        SyncerError: the source's, or the reason to stop.
    Cancel-safe: yes.
    """
    stop.check()
    return await unless_stopped(fetcher.fetch(checkpoint, reading), stop)


async def unless_stopped(work: Awaitable[T], stop: StopSignal) -> T:
    """The result of what is waited for, or nothing when somebody asks to stop meanwhile.

    Raises:
        SyncerError: that of the work, or the reason to stop.
    Cancel-safe: as the work.
    """
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop.wait(), name="stop")
        working = group.create_task(_error_or(work), name="fetch")
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        stopping.cancel()
    if working.cancelled():
        stop.check()
    result = working.result()
    if isinstance(result, SyncerError):
        raise result
    return result


async def _error_or(work: Awaitable[T]) -> T | SyncerError:
    try:
        return await work
    except SyncerError as error:
        return error


async def _fetch_or_error(
    fetcher: Fetcher, checkpoint: Checkpoint, reading: Reading, hand: Hand
) -> Fetched | SyncerError:
    """Errors as values: one that is raised in a task group would cancel the commit under way."""
    fetched = await _error_or(fetcher.fetch(checkpoint, reading))
    if isinstance(fetched, SyncerError):
        return fetched
    # Here, with nothing to wait for in between: the client counts it up to its return.
    hand.take(fetched.page.size_bytes)
    return fetched


def _stride(checkpoint: Checkpoint, fetched: Fetched) -> tuple[Stride, Reading]:
    step = advance(checkpoint.partition.walk, fetched.reading, fetched.page)
    newest = [entry.updated_ms for entry in fetched.page.entries if entry.updated_ms is not None]
    if checkpoint.newest_ms is not None:
        newest.append(checkpoint.newest_ms)
    after = replace(
        checkpoint,
        partition=replace(checkpoint.partition, walk=step.walk),
        phase=PartitionPhase.COMPLETE if step.walk.done else PartitionPhase.WALKING,
        newest_ms=max(newest, default=None),
        pages=checkpoint.pages + 1,
        models=checkpoint.models + len(fetched.page.entries),
        seq=checkpoint.seq + 1,
    )
    return Stride(fetched.page, before=checkpoint, after=after), step.reading
