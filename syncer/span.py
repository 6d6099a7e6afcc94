"""
Read a span of a listing beside all cycles: to confirm, to compare, to try again.

Owns the loop over the pages of one walk that no checkpoint remembers. Never stores anything.
Invariant: pages come in the order of the walk; a walk that is not read to its end proves nothing.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from syncer.crawl import Fetcher, StopSignal, fetch_unless_stopped
from syncer.domain import Checkpoint, Page, Partition, PartitionPhase, Walk
from syncer.planner.walk import Reading, advance


@dataclass(frozen=True, slots=True)
class Reached:
    """One page of a span, and how far the walk is proven after it."""

    page: Page
    before: Walk
    after: Walk


async def read_span(
    fetcher: Fetcher, walk: Walk, *, stop: StopSignal, name: str
) -> AsyncIterator[Reached]:
    """The pages of a walk from its beginning to its end.

    Args:
        fetcher: asks.
        walk: where to begin and end.
        stop: ends the wait for an answer.
        name: of the partition, for errors.

    Raises:
        SyncerError: the source's, or the reason to stop.
    """
    reading, sized = Reading(), fetcher
    while not walk.done:
        checkpoint = Checkpoint(0, Partition(name, walk), PartitionPhase.WALKING)
        fetched = await fetch_unless_stopped(sized, checkpoint, reading, stop)
        step = advance(walk, fetched.reading, fetched.page)
        yield Reached(fetched.page, walk, step.walk)
        walk, reading = step.walk, step.reading
        sized = fetcher.resized(fetched, reading)
