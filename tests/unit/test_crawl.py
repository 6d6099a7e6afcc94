"""How one partition is crawled: one page ahead, in order, and never past an error."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.builders import checkpoint, page, walk

from syncer.api.room import PAGE_GOAL_BYTES
from syncer.crawl import Fetched, Fetcher, StopSignal, Stride, crawl_partition
from syncer.domain import Lane, Page, PartitionPhase, Question, Scope, SentOrder
from syncer.errors import (
    DeadlineReached,
    PageTooLarge,
    SourceUnavailable,
    Stopped,
    StoreUnavailable,
    WalkBroken,
)
from syncer.planner.cut import cut
from syncer.planner.walk import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from syncer.domain import Checkpoint

SCOPE = Scope(tags=("Video",))
THREE_PAGES = (page("a@1 b@3", more="t1"), page("b@3 c@5", more="t2"), page("c@5 d@9"))
HEAVY = PAGE_GOAL_BYTES // 4 + 1
"""Twice as many models would be half of what a page may have."""


async def settle() -> None:
    """Let every task go on until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def begin(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    """Work that a test looks at midway."""
    return asyncio.get_running_loop().create_task(work)


class Desk:
    """A source, a store and a diary of both. ``hold`` makes an event wait until it is let go."""

    def __init__(self, *answers: Page | Exception) -> None:
        self.answers = list(answers)
        self.diary: list[str] = []
        self.questions: list[Question] = []
        self.strides: list[Stride] = []
        self.halved: list[int] = []
        self.stop = StopSignal()
        self._gates: dict[str, asyncio.Event] = {}

    def hold(self, event: str) -> asyncio.Event:
        return self._gates.setdefault(event, asyncio.Event())

    async def _happen(self, event: str) -> None:
        self.diary.append(event)
        if event in self._gates:
            await self._gates[event].wait()

    async def fetch_page(
        self,
        scope: Scope,
        question: Question,
        *,
        lane: Lane,
        next_sent_order: Callable[[], SentOrder],
    ) -> Page:
        assert (scope, lane, next_sent_order()) == (SCOPE, Lane.BACKFILL, 1)
        self.questions.append(question)
        await self._happen(f"ask {len(self.questions)}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def commit(self, stride: Stride) -> None:
        await self._happen(f"commit {stride.after.seq}")
        self.strides.append(stride)
        self.diary.append(f"committed {stride.after.seq}")

    async def crawl(self, at: Checkpoint | None = None, **more: Any) -> None:
        fetcher = Fetcher(
            source=self,
            scope=SCOPE,
            lane=Lane.BACKFILL,
            page_size=more.pop("page_size", 7),
            next_sent_order=lambda: SentOrder(1),
            on_page_halved=self.halved.append,
        )
        options: dict[str, Any] = {
            "commit": self.commit,
            "cut": lambda stride: stride,
            "stop": self.stop,
        } | more
        await crawl_partition(at or checkpoint(), fetcher=fetcher, **options)

    def after(self) -> list[int | None]:
        return [question.after_ms for question in self.questions]


async def test_a_partition_is_walked_to_its_end() -> None:
    desk = Desk(*THREE_PAGES)

    await desk.crawl()

    assert desk.after() == [None, 2, 4]
    assert [stride.page for stride in desk.strides] == [*THREE_PAGES]


async def test_each_checkpoint_follows_from_the_page_that_it_is_committed_with() -> None:
    desk = Desk(*THREE_PAGES)
    start = checkpoint(pages=10, models=100, seq=40, newest_ms=4)

    await desk.crawl(start)

    assert desk.strides[0].before == start
    assert [stride.before for stride in desk.strides[1:]] == [
        stride.after for stride in desk.strides[:-1]
    ]
    afters = [stride.after for stride in desk.strides]
    assert [(each.seq, each.pages, each.models, each.newest_ms) for each in afters] == [
        (41, 11, 102, 4),
        (42, 12, 104, 5),
        (43, 13, 106, 9),
    ]
    assert [each.phase for each in afters] == [
        PartitionPhase.WALKING,
        PartitionPhase.WALKING,
        PartitionPhase.COMPLETE,
    ]


async def test_filters_of_the_partition_go_with_every_question() -> None:
    desk = Desk(*THREE_PAGES)
    start = checkpoint()
    object.__setattr__(start.partition, "type", "custom")

    await desk.crawl(start)

    assert {(question.type, question.tag) for question in desk.questions} == {("custom", None)}


async def test_one_page_is_fetched_ahead_while_one_is_committed_and_no_more() -> None:
    desk = Desk(*THREE_PAGES)
    first, second = desk.hold("commit 1"), desk.hold("commit 2")
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.crawl())
        await settle()
        assert desk.diary == ["ask 1", "commit 1", "ask 2"]
        first.set()
        await settle()
        assert desk.diary[3:] == ["committed 1", "commit 2", "ask 3"]
        second.set()

    assert desk.diary[6:] == ["committed 2", "commit 3", "committed 3"]


async def test_a_page_that_arrives_early_waits_for_the_commit_before_it() -> None:
    desk = Desk(*THREE_PAGES)
    slow = desk.hold("commit 1")
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.crawl())
        await settle()
        assert "commit 2" not in desk.diary
        slow.set()

    assert [stride.after.seq for stride in desk.strides] == [1, 2, 3]


async def test_the_first_answer_is_not_asked_for_when_it_is_known_already() -> None:
    desk = Desk(*THREE_PAGES[1:])

    heavy = replace(THREE_PAGES[0], size_bytes=HEAVY)
    desk.answers[0] = replace(THREE_PAGES[1], size_bytes=HEAVY)
    await desk.crawl(first=Fetched(heavy, Reading(), page_size=3))

    assert desk.after() == [2, 4]
    assert {question.page_size for question in desk.questions} == {3}


async def test_a_complete_partition_asks_nothing() -> None:
    desk = Desk()

    await desk.crawl(checkpoint(phase=PartitionPhase.COMPLETE))

    assert desk.diary == []


# --- errors


async def test_an_error_of_the_source_does_not_cancel_the_commit_in_hand() -> None:
    desk = Desk(THREE_PAGES[0], SourceUnavailable("gone"))
    slow = desk.hold("commit 1")
    crawling = begin(desk.crawl())
    await settle()
    assert not crawling.done()

    slow.set()
    with pytest.raises(SourceUnavailable, match="gone"):
        await crawling

    assert desk.diary == ["ask 1", "commit 1", "ask 2", "committed 1"]


async def test_an_error_of_the_store_ends_the_question_under_way() -> None:
    desk = Desk(*THREE_PAGES)
    desk.hold("ask 2")

    async def fail(stride: Stride) -> None:
        await settle()
        raise StoreUnavailable(f"no page {stride.after.seq}")

    with pytest.raises(StoreUnavailable, match="no page 1"):
        await desk.crawl(commit=fail)

    assert desk.diary == ["ask 1", "ask 2"]
    assert len(asyncio.all_tasks()) == 1


async def test_a_page_that_breaks_the_walk_is_not_committed_and_those_before_it_stay() -> None:
    desk = Desk(THREE_PAGES[0], page("b@4 c@3"))

    with pytest.raises(WalkBroken, match="comes after a later one"):
        await desk.crawl()

    assert [stride.after.seq for stride in desk.strides] == [1]


async def test_a_bug_is_not_taken_for_an_error_of_the_source() -> None:
    desk = Desk(THREE_PAGES[0], ZeroDivisionError("a bug"))

    with pytest.raises(ExceptionGroup) as caught:
        await desk.crawl()

    assert caught.group_contains(ZeroDivisionError, match="a bug")


async def test_cancellation_leaves_no_task_behind() -> None:
    desk = Desk(*THREE_PAGES)
    desk.hold("commit 1")
    desk.hold("ask 2")
    crawling = begin(desk.crawl())
    await settle()
    assert desk.diary == ["ask 1", "commit 1", "ask 2"]

    crawling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crawling

    assert len(asyncio.all_tasks()) == 1
    assert desk.strides == []


# --- stopping


async def test_a_stop_lets_the_commit_in_hand_finish_and_ends_there() -> None:
    desk = Desk(*THREE_PAGES)
    slow = desk.hold("commit 1")
    crawling = begin(desk.crawl())
    await settle()
    desk.stop.set(Stopped())
    await settle()
    assert not crawling.done()

    slow.set()
    with pytest.raises(Stopped, match="SIGTERM"):
        await crawling

    assert [stride.after.seq for stride in desk.strides] == [1]


async def test_a_stop_does_not_wait_for_an_answer() -> None:
    desk = Desk(*THREE_PAGES)
    desk.hold("ask 1")
    crawling = begin(desk.crawl())
    await settle()

    desk.stop.set(DeadlineReached("the deadline of 5 s was reached"))
    with pytest.raises(DeadlineReached, match="of 5 s"):
        await crawling

    assert len(asyncio.all_tasks()) == 1


async def test_a_stop_before_the_first_question_asks_nothing() -> None:
    desk = Desk(*THREE_PAGES)
    desk.stop.set(Stopped())

    with pytest.raises(Stopped, match="SIGTERM"):
        await desk.crawl()

    assert desk.diary == []


async def test_a_stop_during_the_last_commit_comes_too_late() -> None:
    """The partition is complete; saying otherwise would be wrong."""
    desk = Desk(page("a@1"))

    async def stop_and_commit(stride: Stride) -> None:
        desk.stop.set(Stopped())
        await desk.commit(stride)

    await desk.crawl(commit=stop_and_commit)

    assert desk.strides[0].after.phase is PartitionPhase.COMPLETE


def test_the_first_reason_to_stop_stands() -> None:
    stop = StopSignal()
    first = Stopped("first")

    stop.set(first)
    stop.set(Stopped("second"))

    assert stop.reason is first
    with pytest.raises(Stopped, match="first"):
        stop.check()


def test_nobody_asked_to_stop() -> None:
    stop = StopSignal()
    stop.check()

    assert (stop.is_set, stop.reason) == (False, None)


def test_a_part_of_the_work_follows_the_whole_but_not_the_other_way_round() -> None:
    whole = StopSignal()
    part, other = whole.child(), whole.child()

    part.set(Stopped("this part only"))
    assert (part.is_set, other.is_set, whole.is_set) == (True, False, False)
    whole.set(Stopped("all"))

    assert other.is_set
    assert str(part.reason).startswith("this part only")


def test_a_part_that_begins_after_the_stop_is_stopped_already() -> None:
    whole = StopSignal()
    whole.set(Stopped())

    assert whole.child().reason is whole.reason


# --- pages too large


async def test_a_page_too_large_is_asked_for_in_halves_and_stays_so() -> None:
    heavy = [replace(each, size_bytes=HEAVY) for each in THREE_PAGES]
    desk = Desk(PageTooLarge(), PageTooLarge(), *heavy)

    await desk.crawl()

    assert [question.page_size for question in desk.questions] == [7, 3, 1, 1, 1]
    assert desk.halved == [3, 1]
    assert len(desk.strides) == 3


async def test_one_large_model_does_not_make_the_rest_of_its_partition_slow() -> None:
    """Pages that turn out light grow again, up to what is configured."""
    light = page("c@5 d@9", more="t3"), page("d@9 e@12", more="t4"), page("e@12")
    desk = Desk(PageTooLarge(), PageTooLarge(), *THREE_PAGES[:2], *light)

    await desk.crawl()

    assert [question.page_size for question in desk.questions] == [7, 3, 1, 2, 4, 7, 7]


async def test_pages_do_not_grow_while_a_token_is_followed() -> None:
    """It speaks of pages of the old size."""
    tie = page("a@5 b@5", more="t1"), page("c@5 d@6", more="t2")
    again = page("a@5 b@5", more="t1"), page("c@5"), page("d@6")
    desk = Desk(PageTooLarge(), *tie, *again)

    await desk.crawl(checkpoint(at=walk(4)))

    asked = [(question.token, question.page_size) for question in desk.questions]
    assert asked == [(None, 7), (None, 3), ("t1", 3), (None, 6), ("t1", 6), (None, 7)]


async def test_a_model_too_large_by_itself_is_an_error() -> None:
    desk = Desk(PageTooLarge(), PageTooLarge(), PageTooLarge("70 MB, the limit is 64 MB"))

    with pytest.raises(PageTooLarge, match="70 MB"):
        await desk.crawl()

    assert [question.page_size for question in desk.questions] == [7, 3, 1]


async def test_a_token_of_larger_pages_is_not_used_for_smaller_ones() -> None:
    """The span is begun again from its key."""
    desk = Desk(page("a@5 b@5", more="t1"), PageTooLarge(), page("a@5 b@5 c@5"))

    await desk.crawl(checkpoint(at=walk(4)))

    assert [(question.token, question.page_size) for question in desk.questions] == [
        (None, 7),
        ("t1", 7),
        (None, 3),
    ]


# --- cutting


async def test_what_is_cut_off_goes_to_the_store_with_the_page_and_is_not_asked_for() -> None:
    desk = Desk(page("a@1 b@11", more="t1"), page("b@11"))

    def halve(stride: Stride) -> Stride:
        if stride.after.phase is PartitionPhase.COMPLETE:
            return stride
        mine, rest = cut(stride.after.partition.walk, horizon_ms=walk(110).after_ms or 0, parts=2)  # type: ignore[arg-type]
        after = checkpoint(at=mine, phase=PartitionPhase.WALKING, seq=stride.after.seq)
        return Stride(stride.page, stride.before, after, (checkpoint("rest", rest),))

    await desk.crawl(cut=halve)

    assert [(question.after_ms, question.before_ms) for question in desk.questions] == [
        (None, None),
        (10, 61),
    ]
    assert [each.partition.walk for each in desk.strides[0].cut_off] == [walk(60)]
