"""P6, bounded: how many pages are in memory does not depend on who is slow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from support.hand_made import AT_MS, make_model, make_page

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

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = 30


@dataclass(slots=True)
class CountingSource:
    """A listing of a row per millisecond, two rows a page; counts pages that nobody stored yet."""

    turns: int
    """Turns of the event loop that an answer takes."""
    in_flight: int = 0
    most: int = 0
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
        self.asked.append(question)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        first = AT_MS if question.after_ms is None else question.after_ms + 1
        rows = [
            make_model(f"m{at_ms}", createdAt=format_millis(at_ms)) for at_ms in (first, first + 1)
        ]
        token = "more" if len(self.asked) < PAGES else None
        return make_page(*rows, sent=next_sent_order(), token=token)


@pytest.mark.parametrize(("answer_turns", "commit_turns"), [(0, 50), (50, 0), (5, 6)])
async def test_a_partition_holds_two_pages_at_most(answer_turns: int, commit_turns: int) -> None:
    """P6: one page is fetched while one is committed, however slow the database or the source."""
    source = CountingSource(answer_turns)
    committed: list[int] = []

    async def commit(stride: Stride) -> None:
        for _ in range(commit_turns):
            await asyncio.sleep(0)
        committed.append(stride.after.pages)
        source.in_flight -= 1

    fetcher = Fetcher(
        source=source,
        scope=Scope(),
        lane=Lane.BACKFILL,
        page_size=2,
        next_sent_order=lambda: SentOrder(len(source.asked)),
        on_page_halved=lambda _size: None,
    )
    partition = Partition("everything", Walk(SortKey.CREATED, before_ms=Millis(AT_MS * 2)))
    await crawl_partition(
        Checkpoint(1, partition, PartitionPhase.PENDING),
        fetcher=fetcher,
        commit=commit,
        cut=lambda stride: stride,
        stop=StopSignal(),
    )

    assert list(range(1, PAGES + 1)) == committed
    assert source.most <= 2
    assert source.most == 2 or commit_turns < answer_turns
