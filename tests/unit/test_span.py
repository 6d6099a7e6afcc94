"""A span is read page by page, and left when somebody asks to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.builders import page, walk

from syncer.crawl import Fetcher, StopSignal
from syncer.domain import Lane, Page, Scope, SentOrder
from syncer.errors import DeadlineReached, SourceUnavailable
from syncer.span import read_span

if TYPE_CHECKING:
    pass

DEADLINE = DeadlineReached("the deadline of 5 s was reached")


class Queue:
    """A source that answers what it was given, and then nothing for ever."""

    def __init__(self, *answers: Page | Exception) -> None:
        self.answers = list(answers)
        self.asked = asyncio.Event()

    async def fetch_page(self, *_: object, **__: object) -> Page:
        if not self.answers:
            self.asked.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def read(source: Queue, stop: StopSignal) -> list[int]:
    fetcher = Fetcher(
        source=source,  # type: ignore[arg-type] - as far as a span asks
        scope=Scope(),
        lane=Lane.POLL,
        page_size=7,
        next_sent_order=lambda: SentOrder(1),
        on_page_halved=lambda _size: None,
    )
    whole = walk(None)
    return [
        len(reached.page.entries)
        async for reached in read_span(fetcher, whole, stop=stop, name="span")
    ]


async def test_pages_come_to_the_end() -> None:
    pages = page("a@1 b@3", more="t1"), page("b@3 c@5")

    assert [2, 2] == await read(Queue(*pages), StopSignal())


async def test_a_question_that_waits_for_the_budget_does_not_outlast_the_deadline() -> None:
    source, stop = Queue(page("a@1 b@3", more="t1")), StopSignal()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_outcome(read(source, stop)))
        await source.asked.wait()
        stop.set(DEADLINE)

    assert reading.result() is DEADLINE
    assert 1 == len(asyncio.all_tasks())


async def test_an_error_comes_out_as_it_is() -> None:
    error = SourceUnavailable("away")

    assert await _outcome(read(Queue(error), StopSignal())) is error


async def test_nothing_is_asked_once_it_is_over() -> None:
    source, stop = Queue(page("a@1")), StopSignal()
    stop.set(DEADLINE)

    with pytest.raises(DeadlineReached):
        await read(source, stop)

    assert source.answers


async def _outcome(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except (DeadlineReached, SourceUnavailable) as error:
        return error
