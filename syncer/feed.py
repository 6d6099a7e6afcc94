"""
Hear of models that were deleted from a private catalog.

Owns the reading of the deleted feed (``status=deleted``, 30 days back). Never inserts from it, and
never believes it alone: a model that was restored meanwhile is listed again.
Invariant: a feed row removes only what a live listing, asked afterwards, does not hold.
Kind: conductor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncer.context import CatalogContext
from syncer.cycle import commit_page
from syncer.domain import CycleKind, Lane, Millis, SentOrder, SortKey, Walk
from syncer.errors import SourceLimitReached, SourceRefused, SourceRejected
from syncer.outcome import Tally
from syncer.planner.sweeping import confirming_walks, seen_on, walk_requests
from syncer.span import read_span
from syncer.store.effects import NoEffect

REACH_S = 29 * 86_400
"""The feed goes back 30 days (UPSTREAM §7); a day of margin."""

_FEED = "deleted feed"


@dataclass(slots=True)
class DeletedFeed:
    """The feed of one private catalog."""

    context: CatalogContext
    _resting_until_s: float = float("-inf")
    """A lower plan may not read it (UPSTREAM §7): absence decides, until it is tried again."""

    def ask_again(self) -> None:
        """Whatever it said last."""
        self._resting_until_s = float("-inf")

    async def read(self, tally: Tally) -> bool:
        """Remove what the feed names and the listing lacks; returns whether it was read whole.

        Raises:
            SourceError, StoreError, LeaseLost: as the crawl; a refusal is no error.
        Cancel-safe: yes.
        """
        now_s = self.context.clock.monotonic()
        if now_s < self._resting_until_s:
            return False
        async with self.context.turn:
            try:
                suspects = await self._read_suspects()
            except (SourceRejected, SourceRefused, SourceLimitReached) as error:
                self._resting_until_s = now_s + self.context.settings.sweep_interval_s
                self.context.voice.feed_refused(error)
                return False
            if suspects:
                await self._remove(suspects, tally)
        return True

    async def _read_suspects(self) -> dict[str, Millis]:
        """Models that the feed names and that are live in the mirror, with their ``createdAt``."""
        context = self.context
        fetcher = replace(
            context.fetcher(CycleKind.DELTA, lane=Lane.DELETED_FEED), is_deleted_feed=True
        )
        suspects: dict[str, Millis] = {}
        walk = Walk(SortKey.CREATED)
        async for reached in read_span(fetcher, walk, stop=context.stop, name=_FEED):
            ids = list(seen_on(reached.before, reached.page).ids)
            suspects |= await context.sweeps.list_live(context.name, ids)
        return suspects

    async def _remove(self, suspects: dict[str, Millis], tally: Tally) -> None:
        context = self.context
        live = await context.catalogs.count_live(context.name)
        walks = confirming_walks(
            suspects.values(), whole_requests=walk_requests(live, context.page_size)
        )
        gone, orders = set(suspects), [SentOrder(0)]
        fetcher = context.fetcher(CycleKind.DELTA, lane=Lane.DELETED_FEED)
        for walk in walks:
            async for reached in read_span(fetcher, walk, stop=context.stop, name=_FEED):
                seen = seen_on(reached.before, reached.page)
                # A record without an id could be any of them.
                gone -= gone if seen.blind else set(seen.ids)
                await commit_page(context, _FEED, reached.page, NoEffect(), tally)
                orders.append(reached.page.sent_order)
        if gone:
            removed = await context.sweeps.remove_deleted(sorted(gone), max(orders))
            tally.removed += removed
            context.observer.models_removed(context.name, removed)
