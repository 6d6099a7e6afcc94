"""
Walks a ``LiveListing`` as ``syncer.crawl`` would, and checks at every step what must hold.

``walk_through`` is one walk (P1). ``Follower`` is a whole catalog: backfill, then delta cycles with
the settle rule, into a mirror that is a dictionary (it stands for no store: it has no transactions,
only the rule which version wins).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from support.live_listing import BASE_MS, QUIET, LiveListing, Turn, content_of

from syncer.domain import Cycle, CycleKind, Millis, Model, Page, Plan, Scope, SortKey, Walk
from syncer.errors import WalkBroken
from syncer.planner import choose, cut, frontier
from syncer.planner.frontier import Frontier
from syncer.planner.walk import Reading, Step, advance, next_question

if TYPE_CHECKING:
    from collections.abc import Sequence

Advance = Callable[[Walk, Reading, Page], Step]

MAX_BREAKS_WHEN_QUIET = 1
"""The fifth reading of a span may be the first quiet one."""


@dataclass(slots=True)
class Report:
    """What a walk handed out, and at what price."""

    handed_out: set[str] = field(default_factory=set)
    questions: int = 0
    breaks: int = 0


def walk_through(
    source: LiveListing,
    walk: Walk,
    turns: Sequence[Turn],
    *,
    page_size: int,
    advance: Advance = advance,
) -> Report:
    """Walk to the end, whatever happens meanwhile.

    After each step, every model that has stood still since the start and that the walk has
    passed must have been handed out.
    """
    steadfast = {
        row.id: row for row in source.matching(next_question(walk, Reading(), page_size=page_size))
    }
    reading, report, quiet_breaks = Reading(), Report(), 0
    limit = question_limit(source, turns)
    while not walk.done:
        turn = turns[report.questions] if report.questions < len(turns) else QUIET
        source.play(turn)
        page = source.answer(next_question(walk, reading, page_size=page_size), turn)
        report.questions += 1
        assert report.questions <= limit, "the walk asks for ever"
        if turn.lost:
            reading = Reading()
            continue
        try:
            step = advance(walk, reading, page)
        except WalkBroken as error:
            if "listed different ids each time" not in error.message:
                raise
            report.breaks += 1
            quiet_breaks += report.questions > len(turns)
            assert quiet_breaks <= MAX_BREAKS_WHEN_QUIET, "a source at rest is not believed"
            reading = Reading()
            continue
        report.handed_out |= {model.id for model in models_of(page)}
        assert never_back(walk, step.walk)
        walk, reading = step.walk, step.reading
        for row in steadfast.values():
            at_ms = BASE_MS + (row.created_ms if walk.key is SortKey.CREATED else row.updated_ms)
            if row.id in source.touched or not has_passed(walk, at_ms):
                continue
            assert row.id in report.handed_out, f"{row.id} was passed and never handed out"
    return report


def has_passed(walk: Walk, at_ms: int) -> bool:
    return walk.done or (walk.after_ms is not None and at_ms <= walk.after_ms)


def models_of(page: Page) -> list[Model]:
    """A ``LiveListing`` lists nothing else."""
    return [entry for entry in page.entries if isinstance(entry, Model)]


def newest_of(page: Page) -> Millis | None:
    return max((model.updated_ms for model in models_of(page)), default=None)


def never_back(before: Walk, after: Walk) -> bool:
    if before.after_ms is None or after.after_ms is None:
        return before.after_ms is None
    return after.after_ms >= before.after_ms


def question_limit(source: LiveListing, turns: Sequence[Turn]) -> int:
    """Per model: one step, and for a group read five times a page, an empty page, a lost answer."""
    models = len(source.listed) + sum(len(turn.edits) for turn in turns)
    return 2 * len(turns) + 12 * (models + 2)


@dataclass(slots=True)
class Part:
    """One open partition of a cycle."""

    walk: Walk
    reading: Reading = field(default_factory=Reading)
    held: Page | None = None
    """Answered, not stored yet."""


class Follower:
    """One catalog that follows one source.

    Its own clock is right; ``Date`` may tell another time.
    """

    def __init__(self, source: LiveListing, *, page_size: int, overlap_ms: int) -> None:
        self.source = source
        self.page_size = page_size
        self.overlap_ms = overlap_ms
        self.mirror: dict[str, tuple[tuple[int, int], tuple[str, int, int]]] = {}
        self.proven: Frontier | None = None
        self.parts: list[Part] = []
        self.cycle: Cycle | None = None
        self.newest_ms: Millis | None = None
        self.head_ms = Millis(0)
        self.is_pinned = False
        """Something was listed; before that there is nothing to have a watermark of."""
        self.complete_cycles = 0

    @property
    def our_now_ms(self) -> Millis:
        """Our clock is right here."""
        return Millis(BASE_MS + self.source.now_ms)

    def begin(self, turn: Turn = QUIET) -> None:
        """Ask the first question of a cycle; a poll that shows everything is a cycle."""
        plan = self._plan()
        walk = plan.partitions[0].walk
        page = self._ask(walk, Reading(), turn)
        if turn.lost:
            return
        newest_ms = newest_of(page)
        source_now_ms, ceiling_ms = self._believed(page), None
        if plan.kind is CycleKind.DELTA and not advance(walk, Reading(), page).walk.done:
            if source_now_ms is not None and max(newest_ms or 0, self.head_ms) <= source_now_ms:
                ceiling_ms = source_now_ms
            walk = choose.plan_backlog(plan, ceiling_ms).partitions[0].walk
        if source_now_ms is None:
            seen = [newest_ms, self.head_ms]
            source_now_ms = frontier.newest_seen(seen, latest_ms=self.our_now_ms)
        self.cycle = Cycle(
            1, "public", plan.kind, plan.strategy, plan.reason, source_now_ms, ceiling_ms
        )
        self.newest_ms = None
        self.is_pinned |= bool(page.entries) or page.next_token is not None
        self.parts = [Part(walk, held=page)]
        self.take(0)

    def ask(self, index: int, turn: Turn = QUIET) -> None:
        """Fetch the next page of a partition, without storing it."""
        part = self.parts[index]
        if part.held is None:
            part.held = self._ask(part.walk, part.reading, turn)

    def take(self, index: int) -> None:
        """Store the page that a partition holds, and move it on."""
        part = self.parts[index]
        assert part.held is not None
        page, part.held = part.held, None
        try:
            step = advance(part.walk, part.reading, page)
        except WalkBroken:
            part.reading = Reading()
            return
        self._store(page)
        assert never_back(part.walk, step.walk)
        part.walk, part.reading = step.walk, step.reading
        if part.walk.done:
            self.parts.remove(part)
        if not self.parts:
            self._finish()

    def step(self, index: int, turn: Turn = QUIET) -> None:
        """Ask and store, or lose the answer with everything that was not stored."""
        self.ask(index, turn)
        if turn.lost:
            self.crash()
        else:
            self.take(index)

    def crash(self) -> None:
        """What was in memory is gone; checkpoints and rows stay."""
        self.parts = [Part(part.walk) for part in self.parts]

    def share(self, index: int, parts: int) -> None:
        """Cut what remains of a partition, as for idle workers."""
        part = self.parts[index]
        if part.held is not None:
            return
        assert self.cycle is not None
        horizon_ms = self.cycle.ceiling_ms or self.cycle.source_now_ms
        first, *others = cut.cut(part.walk, horizon_ms=horizon_ms, parts=parts)
        if others:
            part.walk, part.reading = first, Reading()
            self.parts.extend(Part(walk) for walk in others)

    def catch_up(self) -> None:
        """Finish what is open, then one complete cycle; the source must be at rest."""
        limit = self.source.questions + 40 * (len(self.source.listed) + 4)
        target = self.complete_cycles + (2 if self.parts else 1)
        while self.complete_cycles < target:
            assert self.source.questions <= limit, "the cycle never ends"
            if self.parts:
                self.step(0)
            else:
                self.begin()

    def check(self) -> None:
        """The mirror equals the source, but for models that were removed."""
        for row in self.source.truth.values():
            assert row.id in self.mirror, f"{row.id} is missing"
            assert self.mirror[row.id][1] == row.content, f"{row.id} is stale"
        for _, content in self.mirror.values():
            assert content in self.source.ever_listed

    def settles_at(self, cycle: Cycle) -> Millis:
        """The source time for the settle rule: of the cycle's first page."""
        return cycle.source_now_ms

    def _believed(self, page: Page) -> Millis | None:
        """No lead over our clock is tolerated."""
        return frontier.believed_date(
            page.source_now_ms, our_now_ms=self.our_now_ms, tolerance_ms=0
        )

    def _plan(self) -> Plan:
        if self.proven is None:
            facts = choose.MirrorFacts()
            return choose.plan_backfill(Scope(), "time", facts, page_size=self.page_size)
        if not self.is_pinned:
            return choose.plan_delta(Millis(0))
        return choose.plan_delta(frontier.delta_after(self.proven, overlap_ms=self.overlap_ms))

    def _ask(self, walk: Walk, reading: Reading, turn: Turn) -> Page:
        return self.source.answer(next_question(walk, reading, page_size=self.page_size), turn)

    def _store(self, page: Page) -> None:
        for model in models_of(page):
            order = model.updated_ms, page.sent_order
            if model.id not in self.mirror or self.mirror[model.id][0] <= order:
                self.mirror[model.id] = order, content_of(model)
        if (newest_ms := newest_of(page)) is not None:
            self.newest_ms = max(self.newest_ms or newest_ms, newest_ms)

    def _finish(self) -> None:
        assert self.cycle is not None
        cycle = replace(self.cycle, source_now_ms=self.settles_at(self.cycle))
        self.complete_cycles += 1
        stored = None if self.proven is None else self.proven.watermark_ms
        raised = frontier.prove(
            stored,
            self.newest_ms,
            cycle,
            overlap_ms=self.overlap_ms,
            latest_ms=self.our_now_ms,
        )
        assert stored is None or raised.watermark_ms >= stored
        self.head_ms = max(self.head_ms, raised.head_ms or self.head_ms)
        self.proven = Frontier(
            raised.watermark_ms,
            cycle.source_now_ms,
        )
