"""P6: pages share one room in memory, and whoever waits for it gets it in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from support.desk import PAGE, QUESTION, serving
from support.hand_made import AT_MS, make_model, make_page

from syncer.api.room import PAGE_GOAL_BYTES, Room
from syncer.crawl import Fetcher, StopSignal, Stride, crawl_partition
from syncer.domain import (
    Checkpoint,
    Lane,
    Millis,
    Page,
    Partition,
    PartitionPhase,
    Question,
    Scope,
    SentOrder,
    SortKey,
    Walk,
    format_millis,
)
from syncer.errors import PageTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 4
"""Bytes that a reader of these tests reads at once."""


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def read(room: Room, size: int, let_go: asyncio.Event | None = None) -> None:
    """Read a page as the client does: piece by piece, waiting whenever it must."""
    with room.reader() as share:
        for _ in range(0, size, PIECE):
            share.take(PIECE)
            if not share.may_go_on:
                await share.until_may_go_on()
            await asyncio.sleep(0)
        if let_go is not None:
            await let_go.wait()


async def test_readers_share_the_room() -> None:
    room = Room(40)
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(read(room, 20))

    # All of them would be 160. Beyond the room there is the oldest reader's page, and a piece each.
    assert room.most_bytes <= 40 + 20 + 8 * PIECE
    assert room.used_bytes == 0


async def test_a_page_larger_than_the_room_passes_alone() -> None:
    room, let_go = Room(40), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(read(room, 400, let_go))
        await settle()
        others = [group.create_task(read(room, 20)) for _ in range(4)]
        for _ in range(10):
            await settle()

        assert room.used_bytes == 400 + 4 * PIECE
        assert not any(each.done() for each in others)
        let_go.set()

    assert room.used_bytes == 0


async def test_even_the_oldest_reader_waits_for_pages_on_their_way_to_the_store() -> None:
    room = Room(40)
    with room.hand() as hand:
        hand.take(39)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read(room, 400))
            await settle()

            assert room.used_bytes == 39 + PIECE
            hand.drop(39)
            await asyncio.wait_for(reading, 10)  # noqa: TID251 - a test that hangs should say where


async def test_nobody_asks_while_the_room_is_full() -> None:
    room = Room(40)
    with room.hand() as hand:
        hand.take(40)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(room.until_free())
            await settle()

            assert not waiting.done()
            hand.drop(1)


async def test_a_reader_that_is_cancelled_gives_back_what_it_had() -> None:
    room, never = Room(40), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(read(room, 400, never))
        await settle()
        second = group.create_task(read(room, 20))
        for _ in range(10):
            await settle()
        first.cancel()
        await second

    assert room.used_bytes == 0


def test_a_crawl_that_ends_early_gives_back_what_it_had() -> None:
    room = Room(40)

    def fail() -> None:
        with room.hand() as hand:
            hand.take(30)
            raise PageTooLarge("anything that ends it")

    with pytest.raises(PageTooLarge, match="anything"):
        fail()

    assert room.used_bytes == 0


# --- crawls


@dataclass(slots=True)
class SharedSource:
    """A listing of one row a page; each page is as large as the whole room."""

    room: Room
    pages: int
    asked: list[Question] = field(default_factory=list)

    async def fetch_page(
        self,
        scope: Scope,
        question: Question,
        *,
        lane: Lane,
        next_sent_order: Callable[[], SentOrder],
    ) -> Page:
        del scope, lane
        await self.room.until_free()
        self.asked.append(question)
        await read(self.room, 40)
        at_ms = AT_MS if question.after_ms is None else question.after_ms + 2
        rows = [make_model(f"m{at_ms}", createdAt=format_millis(at_ms))]
        token = "more" if at_ms < AT_MS + self.pages - 1 else None
        return replace(make_page(*rows, sent=next_sent_order(), token=token), size_bytes=40)


async def test_crawls_that_hold_a_page_and_read_the_next_do_not_wait_for_each_other() -> None:
    """Eight partitions, each with one page at the store and one on its way, in room for one."""
    room = Room(40)
    source, committed = SharedSource(room, pages=5), []

    async def commit(stride: Stride) -> None:
        await settle()
        committed.append(stride.after.seq)

    async def crawl(name: str) -> None:
        fetcher = Fetcher(
            source=source,
            scope=Scope(),
            lane=Lane.BACKFILL,
            page_size=2,
            next_sent_order=lambda: SentOrder(len(source.asked)),
            on_page_halved=lambda _size: None,
            hand=room.hand,
        )
        partition = Partition(name, Walk(SortKey.CREATED, before_ms=Millis(AT_MS * 2)))
        await crawl_partition(
            Checkpoint(1, partition, PartitionPhase.PENDING),
            fetcher=fetcher,
            commit=commit,
            cut=lambda stride: stride,
            stop=StopSignal(),
        )

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(crawl(f"part {number}"))

    assert len(committed) == 8 * 5
    # One page at the store, one that was read before that one arrived there, and pieces.
    assert room.most_bytes <= 2 * 40 + 8 * PIECE
    assert room.used_bytes == 0


# --- the client


BODY = b'{"models": [], "nextPaginationToken": "more"}'
LARGE = BODY + b" " * 1_500_000


async def test_eight_requests_at_once_stay_within_the_room() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    room = Room(4_000_000)
    async with serving(handler, room=room, max_page_bytes=2_000_000) as desk:
        async with asyncio.TaskGroup() as group:
            pages = [group.create_task(desk.fetch()) for _ in range(8)]

        assert {page.result().next_token for page in pages} == {PAGE["nextPaginationToken"]}
    assert room.most_bytes <= 4_000_000 + len(LARGE) + 8 * 65_536
    assert room.used_bytes == 0


async def test_several_models_are_not_read_beyond_the_goal_and_one_model_is() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=BODY + b" " * PAGE_GOAL_BYTES)

    async with serving(handler, max_page_bytes=2 * PAGE_GOAL_BYTES) as desk:
        with pytest.raises(PageTooLarge, match="at once"):
            await desk.fetch()

        assert (await desk.fetch(replace(QUESTION, page_size=1))).size_bytes > PAGE_GOAL_BYTES
        assert desk.client.room.used_bytes == 0


async def test_waiting_for_room_is_not_the_sources_time() -> None:
    """A request may take 0.2 s; the store takes longer, and the answer is used all the same."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    room = Room(400_000)
    options = {"room": room, "max_page_bytes": 2_000_000, "request_timeout_s": 0.2}
    async with serving(handler, **options) as desk, asyncio.TaskGroup() as group:
        with room.hand() as hand:
            hand.take(300_000)
            fetching = group.create_task(desk.fetch())
            while room.used_bytes <= 400_000:
                await asyncio.sleep(0)
            # Longer than the time limit, which is not running.
            loop = asyncio.get_running_loop()
            until = loop.time() + 0.3
            while loop.time() < until:
                await asyncio.sleep(0)

            assert not fetching.done()
        page = await fetching

    assert page.size_bytes == len(LARGE)
