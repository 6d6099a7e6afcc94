"""Who works on what: workers, idle hands, cuts, and what one broken partition does to the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.builders import checkpoint, model, walk

from syncer.crawl import StopSignal, Stride
from syncer.domain import Crossing, Millis, Page, PartitionPhase, SentOrder, SortKey
from syncer.errors import (
    LeaseLost,
    SourceLimitReached,
    SourceRefused,
    SourceThrottled,
    SourceUnavailable,
    Stopped,
    StoreConflict,
    StoreUnavailable,
    SyncerError,
    WalkBroken,
)
from syncer.work import WorkPool

if TYPE_CHECKING:
    from syncer.domain import Checkpoint, Walk

HORIZON_MS = 1_000


async def settle() -> None:
    """Let every task go on until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


class Yard:
    """A pool whose partitions end when the test says so."""

    def __init__(self, *checkpoints: Checkpoint) -> None:
        self.stop = StopSignal()
        self.counts: list[tuple[int, int]] = []
        self.begun: list[str] = []
        self.at_once = 0
        self.queue_s = 0.0
        self.most_at_once = 0
        self.taken: dict[str, Checkpoint] = {}
        self._ends: dict[str, asyncio.Future[None]] = {}
        self.pool = WorkPool(
            checkpoints,
            horizon_ms=Millis(HORIZON_MS),
            page_size=10,
            stop=self.stop,
            observer=self._observe,
            queue_s=lambda: self.queue_s,
        )

    def _observe(self, *, done: int, known: int) -> None:
        self.counts.append((done, known))

    async def crawl(self, at: Checkpoint) -> None:
        name = at.partition.name
        self.begun.append(name)
        self.taken[name] = at
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self._ends[name] = asyncio.get_running_loop().create_future()
        try:
            await self._ends[name]
        finally:
            self.at_once -= 1

    def end(self, name: str, error: SyncerError | None = None) -> None:
        if error is None:
            self._ends[name].set_result(None)
        else:
            self._ends[name].set_exception(error)

    def run(self, workers: int = 2) -> asyncio.Task[dict[str, SyncerError]]:
        work = self.pool.run(self.crawl, workers=workers)
        return asyncio.get_running_loop().create_task(work)


def waiting(*names: str) -> list[Checkpoint]:
    return [checkpoint(name, is_proof=name == "proof") for name in names]


# --- sharing


async def test_no_more_partitions_are_at_work_than_there_are_workers() -> None:
    yard = Yard(*waiting("a", "b", "c", "d"))
    running = yard.run(workers=2)
    for name in "abcd":
        await settle()
        yard.end(name)

    assert await running == {}
    assert yard.begun == ["a", "b", "c", "d"]
    assert yard.most_at_once == 2


async def test_each_partition_goes_to_one_worker_however_many_there_are() -> None:
    yard = Yard(*waiting("a", "b"))
    running = yard.run(workers=5)
    await settle()
    assert sorted(yard.begun) == ["a", "b"]
    yard.end("a")
    yard.end("b")

    assert await running == {}
    assert len(yard.begun) == 2


async def test_what_is_complete_or_dropped_is_not_walked_again() -> None:
    yard = Yard(
        checkpoint("complete", phase=PartitionPhase.COMPLETE),
        checkpoint("dropped", phase=PartitionPhase.DROPPED),
        checkpoint("walking", phase=PartitionPhase.WALKING),
    )
    running = yard.run()
    await settle()
    yard.end("walking")

    await running
    assert yard.begun == ["walking"]


async def test_a_pool_without_work_is_done_at_once() -> None:
    assert await Yard().pool.run(Yard().crawl, workers=3) == {}


async def test_progress_is_told_in_partitions_done_of_known() -> None:
    yard = Yard(*waiting("a", "b"))
    running = yard.run()
    await settle()
    yard.end("a")
    await settle()
    yard.end("b", WalkBroken())
    await running

    assert yard.counts == [(0, 2), (1, 2), (1, 2)]


async def test_the_proof_walk_begins_when_all_others_have_ended() -> None:
    """What it finds is what they missed."""
    yard = Yard(*waiting("proof", "a", "b"))
    running = yard.run(workers=3)
    await settle()
    assert yard.begun == ["a", "b"]
    yard.end("a")
    await settle()
    assert yard.begun == ["a", "b"]
    yard.end("b")
    await settle()
    assert yard.begun == ["a", "b", "proof"]
    yard.end("proof")

    assert await running == {}


async def test_the_proof_walk_covers_for_a_broken_partition() -> None:
    yard = Yard(*waiting("a", "proof"))
    running = yard.run()
    await settle()
    yard.end("a", WalkBroken())
    await settle()
    yard.end("proof")

    assert [*await running] == ["a"]


# --- errors


async def test_a_broken_partition_does_not_end_the_others() -> None:
    yard = Yard(*waiting("a", "b", "c"))
    broken = WalkBroken("unsorted")
    running = yard.run(workers=2)
    await settle()
    yard.end("a", broken)
    await settle()
    assert not yard.stop.is_set
    yard.end("b")
    yard.end("c")

    assert await running == {"a": broken}


ENDS_ALL = [SourceRefused(), LeaseLost(), SourceLimitReached(), Stopped(), StoreUnavailable()]


@pytest.mark.parametrize("error", ENDS_ALL, ids=lambda error: type(error).__name__)
async def test_an_error_after_which_nothing_works_ends_all(error: SyncerError) -> None:
    """The others end between two pages, and nothing new is begun."""
    yard = Yard(*waiting("a", "b", "c"))
    running = yard.run(workers=2)
    await settle()
    yard.end("a", error)
    await settle()
    assert yard.stop.reason is error
    yard.end("b", error)

    assert await running == {"a": error, "b": error}
    assert yard.begun == ["a", "b"]


@pytest.mark.parametrize("error", [SourceUnavailable(), SourceThrottled()])
async def test_a_source_that_answers_nobody_ends_all(error: SyncerError) -> None:
    yard = Yard(*waiting("a", "b"))
    running = yard.run(workers=1)
    await settle()
    yard.end("a", error)

    assert await running == {"a": error}
    assert yard.begun == ["a"]


@pytest.mark.parametrize("error", [SourceUnavailable(), SourceThrottled()])
async def test_a_source_that_answered_somebody_meanwhile_ends_only_this_partition(
    error: SyncerError,
) -> None:
    yard = Yard(*waiting("a", "b"))
    running = yard.run(workers=1)
    await settle()
    await yard.pool.add(())  # a page was committed
    yard.end("a", error)
    await settle()
    yard.end("b")

    assert await running == {"a": error}
    assert yard.begun == ["a", "b"]


async def test_a_conflict_in_the_store_concerns_one_partition_only() -> None:
    yard = Yard(*waiting("a", "b"))
    running = yard.run(workers=1)
    await settle()
    yard.end("a", StoreConflict())
    await settle()
    yard.end("b")

    assert [*await running] == ["a"]


async def test_a_stop_from_outside_lets_nobody_begin_and_wakes_the_idle() -> None:
    yard = Yard(*waiting("a", "proof"))
    running = yard.run(workers=2)
    await settle()
    stopped = Stopped()
    yard.stop.set(stopped)
    yard.end("a", stopped)

    assert await running == {"a": stopped}
    assert yard.begun == ["a"]


async def test_a_bug_takes_the_pool_down() -> None:
    yard = Yard(*waiting("a", "b"))

    async def crawl(at: Checkpoint) -> None:
        if at.partition.name == "a":
            raise ZeroDivisionError("a bug")
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await yard.pool.run(crawl, workers=2)

    assert caught.group_contains(ZeroDivisionError, match="a bug")
    assert len(asyncio.all_tasks()) == 1


async def test_cancellation_leaves_no_worker_behind() -> None:
    yard = Yard(*waiting("a", "proof"))
    running = yard.run(workers=3)
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(asyncio.all_tasks()) == 1


# --- cutting


LONG_UNDER_WAY = 9
"""Pages; a walk is not cut into more parts than it has walked pages."""


def stride(at: Checkpoint, upto: Walk, *times: int, pages: int = LONG_UNDER_WAY) -> Stride:
    """The ``pages``th page of a partition: models at ``times``, and the walk moved to ``upto``."""
    entries = tuple(model(f"m{number}", each) for number, each in enumerate(times))
    shown = Page(entries, "t", None, SentOrder(1))
    after = replace(
        at,
        partition=replace(at.partition, walk=upto),
        phase=PartitionPhase.COMPLETE if upto.done else PartitionPhase.WALKING,
        pages=pages,
        seq=at.seq + 1,
    )
    return Stride(shown, at, after)


DENSE = range(0, 100, 2)
"""50 models in 98 ms: the remaining 901 ms hold about 46 pages of 10."""


async def at_work(*names: str, workers: int, **more: Any) -> tuple[Yard, asyncio.Task[Any]]:
    yard = Yard(*waiting(*names), **more)
    running = yard.run(workers)
    await settle()
    return yard, running


async def finish(yard: Yard, running: asyncio.Task[Any]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_idle_workers_get_equal_shares_of_what_remains() -> None:
    yard, running = await at_work("everything", workers=4)

    cut = yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE))

    walks = [cut.after.partition.walk, *(each.partition.walk for each in cut.cut_off)]
    assert [(each.after_ms, each.before_ms) for each in walks] == [
        (99, 325),
        (324, 550),
        (549, 775),
        (774, None),
    ]
    assert [each.phase for each in cut.cut_off] == [PartitionPhase.PENDING] * 3
    assert (cut.after.seq, cut.after.phase) == (1, PartitionPhase.WALKING)
    await finish(yard, running)


async def test_a_part_is_named_for_what_it_was_cut_from_and_where_it_begins() -> None:
    yard, running = await at_work("everything", workers=2)

    (part,) = yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE)).cut_off
    await yard.pool.add((part,))
    await settle()
    yard.pool._idle = 1
    (again,) = yard.pool.cut(stride(part, walk(649), *range(550, 650))).cut_off

    assert part.partition.name == "everything@1970-01-01T00:00:00.549Z"
    assert again.partition.name == "everything@1970-01-01T00:00:00.824Z"
    await finish(yard, running)


async def test_idle_workers_begin_a_part_when_it_is_stored() -> None:
    yard, running = await at_work("everything", workers=2)
    cut = yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE))
    await settle()
    assert yard.begun == ["everything"]

    await yard.pool.add(cut.cut_off)
    await settle()

    assert yard.begun == ["everything", cut.cut_off[0].partition.name]
    assert yard.counts[-1] == (0, 2)
    await finish(yard, running)


async def uncut(yard: Yard, name: str, upto: Walk, *times: int) -> bool:
    """Whether a partition keeps all that remains."""
    made = stride(yard.taken[name], upto, *times)
    return yard.pool.cut(made) == made


async def test_nothing_is_cut_while_everybody_is_busy() -> None:
    yard, running = await at_work("everything", workers=1)

    assert await uncut(yard, "everything", walk(99), *DENSE)
    await finish(yard, running)


async def test_nothing_is_cut_while_the_request_budget_is_what_holds_the_walk_up() -> None:
    """P7: a part more costs a request or two, and nobody could walk it any sooner."""
    yard, running = await at_work("everything", workers=2)
    yard.queue_s = 0.5

    assert await uncut(yard, "everything", walk(99), *DENSE)
    yard.queue_s = 0.0
    assert yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE)).cut_off
    await finish(yard, running)


async def test_nothing_is_cut_while_a_part_waits_for_the_worker_that_was_just_woken() -> None:
    yard, running = await at_work("everything", workers=2)
    cut = yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE))
    yard.taken["everything"] = cut.after
    await yard.pool.add(cut.cut_off)

    assert await uncut(yard, "everything", walk(149, 550), *range(100, 150, 2))
    await finish(yard, running)


async def test_a_proof_walk_that_waits_does_not_keep_the_idle_from_helping() -> None:
    """It cannot begin before the others have ended, and ends later if nobody helps them."""
    yard, running = await at_work("type=custom", "proof", workers=2)

    cut = yard.pool.cut(stride(yard.taken["type=custom"], walk(99), *DENSE))

    assert len(cut.cut_off) == 1
    assert not cut.cut_off[0].partition.is_proof
    await finish(yard, running)


async def test_the_proof_walk_is_cut_into_proof_walks() -> None:
    yard, running = await at_work("proof", workers=2)

    cut = yard.pool.cut(stride(yard.taken["proof"], walk(99), *DENSE))
    await yard.pool.add(cut.cut_off)
    await settle()

    assert [each.partition.is_proof for each in cut.cut_off] == [True]
    assert len(yard.begun) == 2
    await finish(yard, running)


async def test_the_filter_of_a_partition_stays_with_its_parts() -> None:
    whole = checkpoint("type=custom")
    yard = Yard(replace(whole, partition=replace(whole.partition, type="custom")))
    running = yard.run()
    await settle()

    (part,) = yard.pool.cut(stride(yard.taken["type=custom"], walk(99), *DENSE)).cut_off

    assert part.partition.type == "custom"
    await finish(yard, running)


async def test_only_the_longest_walk_is_cut() -> None:
    yard, running = await at_work("short", "long", workers=3)
    assert not await uncut(yard, "long", walk(99), *DENSE)

    assert await uncut(yard, "short", walk(99), *range(0, 100, 20))
    await finish(yard, running)


async def test_what_is_worth_less_than_two_pages_a_part_is_not_cut() -> None:
    yard, running = await at_work("everything", workers=2)

    assert await uncut(yard, "everything", walk(960), *range(0, 960, 10))
    await finish(yard, running)


async def test_a_first_page_is_no_reason_to_cut_however_dense_it_is() -> None:
    """A burst of changes is denser than what follows it; the second page tells more."""
    yard, running = await at_work("everything", workers=4)
    changes = walk(99, key=SortKey.UPDATED)
    partition = replace(yard.taken["everything"].partition, walk=walk(key=SortKey.UPDATED))
    whole = replace(yard.taken["everything"], partition=partition)

    assert yard.pool.cut(stride(whole, changes, *DENSE, pages=1)).cut_off == ()
    assert len(yard.pool.cut(stride(whole, changes, *DENSE, pages=2)).cut_off) == 1
    await finish(yard, running)


async def test_a_walk_by_creation_has_twice_as_many_parts_as_pages() -> None:
    """All workers are busy soon, however long an answer takes."""
    yard, running = await at_work("everything", workers=8)
    whole = yard.taken["everything"]

    assert len(yard.pool.cut(stride(whole, walk(99), *DENSE, pages=1)).cut_off) == 1
    assert len(yard.pool.cut(stride(whole, walk(99), *DENSE, pages=2)).cut_off) == 3
    await finish(yard, running)


async def test_a_walk_of_which_nothing_is_known_is_not_cut() -> None:
    yard, running = await at_work("everything", workers=2)

    assert await uncut(yard, "everything", walk(99))
    await finish(yard, running)


async def test_an_empty_page_does_not_forget_how_dense_the_walk_was() -> None:
    yard, running = await at_work("everything", workers=1)
    yard.pool.cut(stride(yard.taken["everything"], walk(99), *DENSE))
    yard.pool._idle = 1

    assert not await uncut(yard, "everything", walk(100))
    await finish(yard, running)


async def test_a_complete_walk_is_not_cut() -> None:
    yard, running = await at_work("everything", workers=2)

    assert await uncut(yard, "everything", walk(99, done=True), *DENSE)
    await finish(yard, running)


async def test_a_token_chain_that_began_in_an_empty_span_is_not_cut_either() -> None:
    empty = Crossing(Millis(4), None, readings=1, digest=0)
    yard = Yard(checkpoint(at=walk(4, crossing=empty)))
    running = yard.run()
    await settle()

    assert await uncut(yard, "everything", walk(4), *([5] * 10))
    await finish(yard, running)


async def test_a_token_chain_is_not_cut_since_its_offsets_belong_to_its_bounds() -> None:
    yard = Yard(checkpoint(at=walk(4)))
    running = yard.run()
    await settle()

    assert await uncut(yard, "everything", walk(4), *([5] * 10))
    await finish(yard, running)
