"""
Compare the mirror with the source, model by model, while both may move.

Owns the comparison: one walk over the whole listing, then a second look at everything that differs.
Never writes.
Invariant: what is reported differed twice, the second time by answers asked after the first walk;
memory holds one page and the differences, whatever the size of the catalog.
Kind: conductor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncer.api.decode import decode_model, read_listed
from syncer.context import CatalogContext
from syncer.domain import (
    Absences,
    CycleKind,
    Lane,
    Millis,
    Model,
    Page,
    SortKey,
    Walk,
    known_id,
)
from syncer.planner.compare import Difference, Stored, difference
from syncer.planner.sweeping import confirming_walks, walk_requests
from syncer.span import Reached, read_span
from syncer.store.comparing import StoredRow
from syncer.store.rows import batch_from_page

_WALK = "comparison"
LOOK_AGAIN_S = 1.0
"""Between two looks whether the holder of the lease has caught up."""

MAX_WAITED_FOR = 1000
"""More differences than that are no matter of a poll, and would have to be remembered."""

CYCLES_UNTIL_CAUGHT_UP = 2
"""Of two cycles that end while we watch, the second began after we had asked."""


@dataclass(slots=True)
class Suspects:
    """Models that differ so far, each with how, and where to ask for it again."""

    found: dict[str, Difference] = field(default_factory=dict)
    created: dict[str, Millis] = field(default_factory=dict)
    versions: dict[str, tuple[Millis, Millis]] = field(default_factory=dict)
    """``updatedAt`` at the source and as stored, of those in both."""

    def note(self, model_id: str, how: Difference | None, created_ms: Millis | None) -> None:
        """Remember a difference, or that there is none any more."""
        if how is None or created_ms is None:
            self.found.pop(model_id, None)
            return
        self.found[model_id] = how
        self.created[model_id] = created_ms

    def ids(self, how: Difference) -> list[str]:
        """Those that differ in one way, sorted."""
        return sorted(model_id for model_id, each in self.found.items() if each is how)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison has found."""

    catalog: str
    source_models: int
    absences: Absences
    """Of the mirror, with what it holds beyond the source as absent."""
    suspects: Suspects

    @property
    def ids(self) -> dict[str, list[str]]:
        """The models that differ, by how, sorted."""
        return {str(how): self.suspects.ids(how) for how in Difference}

    @property
    def is_equal(self) -> bool:
        """Whether the mirror is right."""
        return not self.suspects.found


@dataclass(slots=True)
class Comparer:
    """Compares one catalog."""

    context: CatalogContext
    patience_s: float = 0.0
    """How long to wait for the holder of the lease to catch up with what differs."""
    _suspects: Suspects = field(default_factory=Suspects)
    _listed: dict[str, Millis | None] = field(default_factory=dict)
    """Shown since the walk last moved on, with ``createdAt``."""
    _source_models: int = 0

    async def compare(self) -> Comparison:
        """Compare everything, and what differs once more.

        Raises:
            SourceError, StoreError, Stopped: the comparison says nothing then.
        """
        async for reached in self._read(Walk(SortKey.CREATED)):
            await self._compare(reached.page)
            await self._note_extra(reached)
        if self._suspects.found:
            await self._look_again()
        absences = await self.context.comparing.count_absences()
        extra = len(self._suspects.ids(Difference.EXTRA))
        absences = replace(absences, absent=extra, is_listing_empty=self._source_models == 0)
        return Comparison(self.context.name, self._source_models, absences, self._suspects)

    def _read(self, walk: Walk) -> AsyncIterator[Reached]:
        fetcher = self.context.fetcher(CycleKind.SWEEP, lane=Lane.VERIFY)
        return read_span(fetcher, walk, stop=self.context.stop, name=_WALK)

    async def _compare(self, page: Page, *, only: set[str] | None = None) -> dict[str, Model]:
        """Compare a page with rows that are read after it; returns its usable models."""
        batch = batch_from_page(self.context.name, page, read_listed)
        models = {each.id: each for each in batch.models if only is None or each.id in only}
        unusable = {each.key: each for each in batch.unusable if only is None or each.key in only}
        stored = await self.context.comparing.read([*models, *unusable])
        for model_id, model in models.items():
            row = stored.get(model_id)
            how = difference(model, _compared(row))
            self._suspects.note(model_id, how, model.created_ms)
            if how is Difference.STALE and row is not None:
                self._suspects.versions[model_id] = (model.updated_ms, row.row.updated_ms)
        if unusable:
            # What cannot be stored is where it belongs when it is in quarantine.
            kept = await self.context.comparing.list_set_aside(unusable) | _live(stored)
            for key, entry in unusable.items():
                how = None if key in kept else Difference.MISSING
                self._suspects.note(key, how, entry.created_ms)
        self._listed |= {known_id(each): each.created_ms for each in page.entries}
        return models

    async def _note_extra(self, reached: Reached) -> None:
        """Once the walk is past an instant, what the mirror holds there must have been shown."""
        after_ms, upto_ms = reached.before.after_ms, reached.after.after_ms
        if reached.after.done:
            upto_ms = None
        elif upto_ms == after_ms:
            return
        for model_id, created_ms in (
            await self.context.comparing.list_created(after_ms, upto_ms)
        ).items():
            # One that is stale as well was listed elsewhere: it was created at another time there.
            if model_id not in self._listed and model_id not in self._suspects.found:
                self._suspects.note(model_id, Difference.EXTRA, created_ms)
        passed = [
            model_id
            for model_id, created_ms in self._listed.items()
            if upto_ms is None or (created_ms is not None and created_ms <= upto_ms)
        ]
        self._source_models += len(passed)
        for model_id in passed:
            del self._listed[model_id]

    async def _look_again(self) -> None:
        """Ask for every suspect once more, and believe that."""
        suspects, context = self._suspects, self.context
        absent = set(suspects.found)
        is_waiting = self.patience_s > 0 and len(absent) <= MAX_WAITED_FOR
        context.voice.differences_suspected(len(absent), patience_s=self.patience_s)
        asked: dict[str, Model] = {}
        walks = confirming_walks(
            (suspects.created[model_id] for model_id in absent),
            whole_requests=walk_requests(self._source_models, context.page_size),
        )
        for walk in walks:
            async for reached in self._read(walk):
                shown = await self._compare(reached.page, only=set(suspects.created))
                absent -= {known_id(each) for each in reached.page.entries}
                if is_waiting:
                    asked |= shown
        live = _live(await self.context.comparing.read(absent))
        for model_id in absent:
            how = Difference.EXTRA if model_id in live else None
            suspects.note(model_id, how, suspects.created[model_id])
        if is_waiting:
            await self._wait_for_holder(asked)

    async def _wait_for_holder(self, asked: dict[str, Model]) -> None:
        """A change of a second ago is no difference: the process that follows comes to it."""
        clock = self.context.clock
        deadline_s = clock.monotonic() + self.patience_s
        first = await self.context.comparing.read(self._suspects.found)
        ended: set[datetime | None] = {await self.context.comparing.read_last_end()}
        while self._suspects.found and clock.monotonic() < deadline_s:
            self.context.stop.check()
            await clock.sleep(LOOK_AGAIN_S)
            ended.add(await self.context.comparing.read_last_end())
            stored = await self.context.comparing.read(self._suspects.found)
            for model_id in tuple(self._suspects.found):
                if _has_caught_up(asked.get(model_id), stored.get(model_id), first.get(model_id)):
                    self._suspects.note(model_id, None, None)
            if len(ended) > CYCLES_UNTIL_CAUGHT_UP:
                return


def _has_caught_up(asked: Model | None, stored: StoredRow | None, first: StoredRow | None) -> bool:
    """Whether the mirror has what the source said, or has moved on from there."""
    if asked is None:
        return stored is None or stored.is_removed
    if stored is None or stored.is_removed:
        return False
    has_moved = first is None or stored.row.updated_ms > first.row.updated_ms
    if has_moved and stored.row.updated_ms > asked.updated_ms:
        return True
    return difference(asked, _compared(stored)) is None


def _compared(stored: StoredRow | None) -> Stored | None:
    """A row with the hash that its body really has."""
    if stored is None:
        return None
    decoded = decode_model(stored.row.body)
    body_hash = decoded.content_hash if isinstance(decoded, Model) else None
    return Stored(stored.row, body_hash, stored.is_removed)


def _live(stored: Mapping[str, StoredRow]) -> set[str]:
    return {model_id for model_id, row in stored.items() if not row.is_removed}
