"""
Tell the source's time from its answers.

Owns which ``Date`` is believed, what stands in for one, and how far a backlog reaches. Never takes
our clock for the source's: it can only raise a doubt.
Kind: conductor.
"""

from __future__ import annotations

from syncer.context import CatalogContext
from syncer.crawl import Fetched
from syncer.domain import Millis, to_millis
from syncer.planner.frontier import MAX_ROW_AHEAD_MS, believed_date, newest_seen
from syncer.store.catalogs import CatalogState

DATE_RESOLUTION_MS = 1000
"""Of the ``Date`` header."""


def date_of(context: CatalogContext, fetched: Fetched) -> Millis | None:
    """``Date`` of a page; a doubted one is as good as none."""
    our_now_ms = to_millis(context.clock.now())
    return believed_date(fetched.page.source_now_ms, our_now_ms=our_now_ms)


def source_now(context: CatalogContext, fetched: Fetched, state: CatalogState) -> Millis:
    """``Date`` of the first page; without one the newest source time seen, which is too old."""
    date_ms, believed = fetched.page.source_now_ms, date_of(context, fetched)
    if believed is not None:
        return believed
    our_now_ms = to_millis(context.clock.now())
    if date_ms is not None:
        context.voice.date_doubted(ahead_s=(date_ms - our_now_ms) / 1000)
    seen = [each.updated_ms for each in fetched.page.entries]
    return newest_seen(
        [*seen, state.head_ms, state.watermark_ms],
        latest_ms=max(our_now_ms, date_ms or our_now_ms) + MAX_ROW_AHEAD_MS,
    )


def backlog_ceiling(source_now_ms: Millis | None, newest_ms: Millis | None) -> Millis | None:
    """How far a backlog is read in one cycle: all that the source had when it was first asked.

    ``Date`` has whole seconds, its rows have milliseconds: without the rest of that second the
    newest rows would wait for the next cycle. Without a ``Date``, or with one that lies behind what
    was listed already, only the listing's end tells.
    """
    if source_now_ms is None:
        return None
    last_ms = Millis(source_now_ms + DATE_RESOLUTION_MS - 1)
    if newest_ms is not None and last_ms < newest_ms <= source_now_ms + MAX_ROW_AHEAD_MS:
        return None
    return last_ms
