"""
What the page for people is made from at a moment.

Owns putting together what the lookout knows, what the cycles of this process have done, and what
only the database has. Never draws.
Invariant: it answers also while the database is away, and says so; a hundred open pages ask the
database as often as one.
Kind: edge (PostgreSQL).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from syncer.errors import StoreError
from syncer.status import build_status
from syncer.store.queries import load_queries
from syncer.web.page.extras import read_extras
from syncer.web.page.values import CatalogProgress, Extras, Facts, PageInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.progress import Progress
    from syncer.status import Document
    from syncer.store.queries import Queries
    from syncer.web.lookout import Lookout

FRESH_FOR_S: Final = 5.0
"""Pages that are asked for within this time show the same extras."""

LONGEST_READ_S: Final = 5.0
"""A page is shown without extras rather than later: its pool is the crawl's."""


@dataclass(slots=True)
class PageReader:
    """Reads one page's worth; called by any number of open pages at once."""

    lookout: Lookout
    progress: Progress
    _queries: Queries = field(default_factory=load_queries)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _extras: Extras | None = None
    _read_at_s: float = float("-inf")

    async def __call__(self) -> PageInput:
        """Everything that ``/`` shows now; does not raise for a database that is away.

        Cancel-safe: yes; it only reads.
        """
        lookout = self.lookout
        extras = await self._recent_extras()
        now = lookout.clock.now()
        budget, document = lookout.budget, self._document()
        return PageInput(
            document=document,
            extras=extras,
            requests_per_minute=lookout.requests.until(now),
            now=now,
            facts=Facts(
                freshness_limits_s=lookout.freshness_limits_s,
                max_requests_per_minute=None if budget is None else budget.requests_per_minute,
                progress=self._progress_of(document),
                stalled_since=lookout.stalled_since,
                database_problem=lookout.problem,
            ),
        )

    def _document(self) -> Document:
        lookout = self.lookout
        if lookout.document is not None:
            return lookout.status()
        problems = ["database: nothing was read yet" if not lookout.problem else lookout.problem]
        return build_status(lookout.settings, (), (), now=lookout.clock.now(), problems=problems)

    async def _recent_extras(self) -> Extras | None:
        clock, pool = self.lookout.clock, self.lookout.pool
        async with self._turn:
            if clock.monotonic() - self._read_at_s < FRESH_FOR_S:
                return self._extras
            self._extras = None
            if pool is not None and self.lookout.problem is None:
                try:
                    async with asyncio.timeout(LONGEST_READ_S):
                        self._extras = await read_extras(pool, self._queries)
                except (StoreError, TimeoutError):
                    # The page says that they could not be read; the lookout says why.
                    self._extras = None
            self._read_at_s = clock.monotonic()
            return self._extras

    def _progress_of(self, document: Document) -> Mapping[str, CatalogProgress]:
        """Of the cycles under way in this process: others' are known by their partitions."""
        held, now_s = self.lookout.held, self.lookout.clock.monotonic()
        under_way = {
            each["name"]
            for each in document["catalogs"]
            if held.get(each["name"]) and each["phase"] in {"backfill", "delta", "sweep"}
        }
        return {
            name: CatalogProgress(tally.models, tally.useful_total(), tally.remaining_s(now_s))
            for name, tally in self.progress.tallies.items()
            if name in under_way
        }
