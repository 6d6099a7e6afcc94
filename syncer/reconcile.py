"""
End a sweep: ask a second time for what it did not see, then remove what is gone.

Owns the order confirm, name the reason, judge, remove. Never walks the catalog, never writes SQL.
Invariant: nothing is removed whose absence was not confirmed by a question asked after the last
page of the sweep, under the catalog's own scope and credentials.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from syncer.api.decode import decode_retrieved
from syncer.context import CatalogContext
from syncer.cycle import commit_page, store_policy
from syncer.domain import Absences, Cycle, CycleKind, Lane, Model, SentOrder
from syncer.errors import SourceError, SweepRefused
from syncer.outcome import Tally
from syncer.planner.guard import refusal
from syncer.planner.reason import Reason, is_outside, reason_of
from syncer.planner.sweeping import confirming_walks, seen_on, walk_requests
from syncer.span import read_span
from syncer.store.effects import NoteSeen
from syncer.store.sweeps import SweepEnd

CONFIRMATION = "confirmation"
NAMING_LIMIT_S = 10.0
"""For all of those questions together; polls wait meanwhile."""

MAX_NAMED = 20
"""Models a sweep asks for by id, one request each, only to name the reason of their removal."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What is left to do of a sweep whose walk is complete."""

    context: CatalogContext
    cycle: Cycle
    tally: Tally
    allowed: int | None = None
    """An operator's one-time ceiling of removals."""

    async def run(self) -> SweepRefused | None:
        """Confirm, remove, end the sweep; returns why removals wait, if they do.

        Raises:
            SourceError, StoreError, LeaseLost, Stopped: the sweep stays open and is resumed.
        Cancel-safe: yes; the tombstones are one transaction with the end of the sweep.
        """
        context = self.context
        async with context.turn:
            # Polls wait meanwhile: one that is asked between confirmation and removal could show a
            # model that has come back, change nothing, and be forgotten.
            confirmed_by = await self._confirm()
            reasons = await self._name_reasons() if confirmed_by else {}
            end: SweepEnd = await store_policy(context)(
                context.sweeps.finish,
                self.cycle,
                scope=context.settings.scope,
                confirmed_by=confirmed_by or SentOrder(0),
                reasons=reasons,
                verdict=self._judge,
                watermark_rule=context.watermark_rule(),
            )
        self.tally.finished = True
        self.tally.removed += end.removed
        context.observer.models_removed(context.name, end.removed)
        self.tally.removals_waiting = end.waiting
        return end.refused

    async def _confirm(self) -> SentOrder | None:
        """Ask again for every model not seen or seen older; returns the last question's number."""
        context = self.context
        whole = walk_requests(await context.catalogs.count_live(context.name), context.page_size)
        instants = await context.sweeps.read_suspects(self.cycle, limit=whole + 1)
        orders: list[SentOrder] = []
        fetcher = context.fetcher(CycleKind.SWEEP)
        for walk in confirming_walks(instants, whole_requests=whole) if instants else ():
            async for reached in read_span(fetcher, walk, stop=context.stop, name=CONFIRMATION):
                effect = NoteSeen(self.cycle, seen_on(reached.before, reached.page))
                await commit_page(context, CONFIRMATION, reached.page, effect, self.tally)
                orders.append(reached.page.sent_order)
        return max(orders, default=None)

    async def _name_reasons(self) -> Mapping[str, str]:
        """Why models are gone, as far as a few requests tell; it never confirms anything."""
        context, scope = self.context, self.context.settings.scope
        absences = await context.sweeps.count_absences(self.cycle)
        if self._judge(absences) is not None:
            return {}
        suspects = await context.sweeps.sample_unseen(self.cycle, limit=MAX_NAMED)
        reasons: dict[str, str] = {}
        try:
            async with asyncio.timeout(NAMING_LIMIT_S):
                for suspect in suspects:
                    if not is_outside(scope, suspect):
                        reasons[suspect.id] = await self._ask_reason(suspect.id)
        except (SourceError, TimeoutError):
            # They are gone, whatever the reason.
            pass
        return reasons

    async def _ask_reason(self, model_id: str) -> Reason:
        scope = self.context.settings.scope
        body = await self.context.source.fetch_model(
            model_id, project_id=scope.project_id, lane=Lane.SWEEP
        )
        retrieved = None if body is None else decode_retrieved(body)
        return reason_of(scope, retrieved if isinstance(retrieved, Model) else None)

    def _judge(self, absences: Absences) -> SweepRefused | None:
        why = refusal(
            absences,
            max_removed_fraction=self.context.settings.max_removed_fraction,
            allowed=self.allowed,
        )
        if why is None:
            return None
        return SweepRefused(
            f"catalog {self.context.name}: {why}; nothing was removed",
            hint="If that is right, run 'syncer sweep --catalog "
            f"{self.context.name} --allow-removals {absences.absent}'; else check credentials, "
            "project_id and filters.",
        )
