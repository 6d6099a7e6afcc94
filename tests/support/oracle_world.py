"""
A source, the processes that mirror it, and everything that must hold of both after each step.

Owns one example of the oracle: what is asked of the mirror, in what order it is judged, and the
quiet end after which mirror and source are equal.
Kind: edge (simulator, database).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from support import history
from support import oracle_checks as checks
from support.mirror import (
    Done,
    Mirror,
    SourceTime,
    mirroring,
    new_source,
    sweep_job,
)
from support.oracle_edits import Author, Edit, Turn
from support.oracle_process import End, OracleClock, Process
from support.oracle_snapshot import Snapshot, empty, fingerprint, look

from syncer.api.decode import read_entries
from syncer.domain import CycleKind, Lane, SortKey, Unusable, known_id
from syncer.errors import LeaseHeld
from syncer.oneshot import Job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from syncer.domain import Model, Page, Question

WRONG_YEAR = datetime(2100, 1, 1, tzinfo=UTC)
BY_ITSELF = End()
REMEMBERED = 3
"""Instants of the past that are asked about after each job."""
QUIET_CYCLES = 3
"""A cycle that was interrupted may have to end first, and a span be read until it is believed."""
JOBS: dict[str, Callable[[], Job]] = {
    "sync": lambda: Job(follow=True),
    "backfill": lambda: Job(follow=False),
    "sweep": sweep_job,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which one example is played."""

    page_size: int = 2
    overlap_s: int = 2
    concurrency: int = 1
    clock_is_wrong: bool = False
    sweep_interval_s: float = 3600
    keys: tuple[tuple[str, Any], ...] = ()
    """More of the configuration."""

    def settings(self) -> dict[str, Any]:
        """As ``mirroring`` takes them."""
        return {
            "source__page_size": self.page_size,
            "source__max_concurrency": self.concurrency,
            "database__pool_size": 2,
            # Above twice LONGEST_JUMP_S, so that renewals are not taken for a retry's sleep.
            "lease__ttl_s": 60,
            "overlap_s": self.overlap_s,
            "sweep_interval_s": self.sweep_interval_s,
            "max_removed_fraction": 1,
        } | dict(self.keys)


@dataclass(slots=True)
class World:
    """One example."""

    mirror: Mirror
    author: Author
    process: Process = field(init=False)
    before: Snapshot = field(default_factory=lambda: Snapshot({}))
    ever_shown: set[tuple[str, bytes]] = field(default_factory=set)
    by_walk: dict[CycleKind, list[checks.Shown]] = field(default_factory=dict)
    by_job: list[checks.Shown] = field(default_factory=list)
    by_sweep: list[tuple[bool, frozenset[str]]] = field(default_factory=list)
    fenced: str | None = None
    """What a process without the lease must leave as it is."""

    past: list[tuple[datetime, history.Contents]] = field(default_factory=list)
    """Some instants, and what was live then."""

    def __post_init__(self) -> None:
        self.process = Process(self.mirror, self._note)
        self.by_walk = {kind: [] for kind in checks.KIND_OF_LANE.values()}

    async def job(
        self,
        kind: str,
        turns: Sequence[Turn] = (),
        end: End = BY_ITSELF,
        faults: Iterable[tuple[str, int]] = (),
    ) -> Done | BaseException:
        """One job, whatever happens meanwhile; then everything must hold."""
        source, faults = self.mirror.source, tuple(faults)
        for name, times in faults:
            source.add_fault(name, times)
        first_edit, present = self.author.edits, set(self.author.listed())
        left = list(turns)
        source.on_request = lambda _: self.author.play(left.pop(0)) if left else None
        self.by_job, self.by_sweep, self.fenced = [], [], None
        ended = await self.process.run(JOBS[kind](), end, lambda: self._rival(end))
        source.on_request = None
        source.clear_faults()
        changed = self.author.edits > first_edit
        gone = {each for each, at in self.author.absent_at.items() if at > first_edit}
        await self._check(ended, present - gone, is_calm=not faults)
        if kind == "sync" and _is_complete(ended) and not (changed or faults):
            await self._check_equal(with_sweep=False)
        return ended

    async def rest(self) -> None:
        """The source is quiet: one cycle, one sweep, and the mirror equals it."""
        author = self.author
        author.leave_something()
        self._drop_nameless()
        self.mirror.time.advance((author.overlap_ms + 1) / 1000)
        await self._settle()
        swept = await self.job("sweep")
        assert _is_complete(swept), swept
        await self._check_equal(with_sweep=True)

    async def close(self) -> None:
        await self.process.close()

    async def _settle(self) -> None:
        ended: Done | BaseException | None = None
        for _ in range(QUIET_CYCLES):
            self.mirror.time.advance(1)
            ended = await self.job("sync")
            if _is_complete(ended):
                return
        errors = ended.catalog.errors if isinstance(ended, Done) else ended
        raise AssertionError(f"no complete cycle in {QUIET_CYCLES}: {errors}")

    async def _check(
        self, ended: Done | BaseException, present: set[str], *, is_calm: bool
    ) -> None:
        before, after = self.before, await look(self.mirror.observer)
        broken = chain(
            checks.invented(after, self.ever_shown),
            checks.backwards(before, after),
            checks.buried_alive(before, after, present),
            checks.unconfirmed(before, after, self.by_sweep),
            *(self._passed_over(after, kind, ended) for kind in self.by_walk),
            checks.overtaken(after, self.by_job) if is_calm and _is_complete(ended) else (),
            await history.lies(self.mirror.observer),
            await self._misremembered(),
        )
        _require_none(broken)
        if self.fenced is not None and self.fenced != await fingerprint(self.mirror.observer):
            raise AssertionError("a process wrote although its lease was another's")
        self.before = after

    async def _misremembered(self) -> list[str]:
        """Instants at which the mirror now tells something else than it held then."""
        observer = self.mirror.observer
        wrong = [
            f"at {at} the mirror did not hold what models_at tells"
            for at, held in self.past
            if held != await history.contents_at(observer, at)
        ]
        at = await observer.fetchval("SELECT max(committed_at) FROM scenario.model_changes")
        if at is not None:
            self.past = [*self.past[-REMEMBERED:], (at, await history.live_contents(observer))]
        return wrong

    def _passed_over(
        self, after: Snapshot, kind: CycleKind, ended: Done | BaseException
    ) -> list[str]:
        shown = self.by_walk[kind]
        found: list[str] = []
        if after.has_open(kind) or _has_completed(ended, kind):
            found = list(checks.passed_over(after, kind, shown, self.author))
        if not after.has_open(kind):
            # A walk that left no cycle behind begins anew, from where the last complete one began.
            shown.clear()
        return found

    async def _check_equal(self, *, with_sweep: bool) -> None:
        """P1: by id and content; without a sweep but for what leaves no trace."""
        author = self.author
        if author.has_pending:
            return
        listed = author.listed()
        kept = {model_id for model_id, each in listed.items() if isinstance(each, Unusable)}
        left = await self.mirror.differences(removed=kept)
        if not with_sweep:
            left = [each for each in left if not self._is_excused(each)]
        found = listed if with_sweep else _without(listed, author.untraced)
        left += checks.wrong_quarantine(self.before, found, exactly=with_sweep)
        if with_sweep:
            left += checks.unburied(self.before.rows, listed)
        _require_none(left)

    def _is_excused(self, difference: str) -> bool:
        what, model_id = difference.split()
        return model_id in (self.author.removed if what == "extra" else self.author.untraced)

    def _drop_nameless(self) -> None:
        """A listed record without an id forbids removals around it."""
        for model_id, each in self.author.listed().items():
            if isinstance(each, Unusable) and not each.has_id:
                self.mirror.source.remove_model(model_id)

    async def _rival(self, end: End) -> None:
        """Another process comes while the first is in the middle of something."""
        source = self.mirror.source
        hook, source.on_request = source.on_request, None
        value = self.mirror.value
        is_held = await value("SELECT count(*) FROM syncer.lease WHERE holder IS NOT NULL")
        if is_held and end.expire:
            await value("UPDATE syncer.lease SET expires_at = now() - interval '1 s' RETURNING 1")
        rival = Process(self.mirror, self._note)
        try:
            ended = await rival.run(JOBS["sync"](), BY_ITSELF, lambda: self._rival(end))
        finally:
            await rival.close()
        source.on_request = hook
        assert isinstance(ended, Done)
        is_refused = isinstance(ended.catalog.error, LeaseHeld)
        assert is_refused == bool(is_held and not end.expire), ended.catalog.error
        if is_held and end.expire:
            self.fenced = await fingerprint(self.mirror.observer)

    def _note(self, lane: Lane, question: Question, page: Page) -> None:
        entries = read_entries(page.entries)
        self.ever_shown.update(checks.contents_of(entries))
        if lane is Lane.SWEEP or (question.sort_key is SortKey.CREATED and lane is Lane.POLL):
            is_end = page.next_token is None and question.before_ms is None
            self.by_sweep.append((is_end, frozenset(self.author.listed())))
        listed = self.author.listed()
        ids = {known_id(each): model_id for model_id, each in listed.items()}
        kind = checks.KIND_OF_LANE.get(lane)
        if kind is CycleKind.DELTA and question.sort_key is SortKey.CREATED:
            # A poll that is a sweep of its own: there is no walk that it could pass over.
            kind = None
        for entry in entries:
            model_id = ids.get(known_id(entry), known_id(entry))
            # While the answer travelled the source may have gone on.
            is_current = checks.is_same(entry, listed.get(model_id))
            record = self.author.record(model_id) if is_current else None
            if kind is not None and checks.was_asked_for(entry, question):
                shown = checks.Shown(entry, model_id, record, page.sent_order, self.author.edits)
                self.by_walk[kind].append(shown)
                self.by_job.append(shown)


@asynccontextmanager
async def world(
    url: str, conditions: Conditions, first: Sequence[Edit] = (), *, with_tags: bool = True
) -> AsyncIterator[World]:
    """An empty mirror before a source that has had its first edits."""
    time = SourceTime()
    source = new_source(time)
    author = Author(source, time, conditions.overlap_s * 1000, with_tags=with_tags)
    author.play(Turn(tuple(first)))
    # Nothing was asked yet, so nothing was missed yet.
    author.untraced.clear()
    async with AsyncExitStack() as stack:
        mirror = await stack.enter_async_context(
            mirroring(url, source, time=time, **conditions.settings())
        )
        mirror.clock = OracleClock(time, WRONG_YEAR if conditions.clock_is_wrong else None)
        await empty(mirror.observer)
        found = World(mirror, author)
        stack.push_async_callback(found.close)
        yield found


def _without(listed: Mapping[str, Model | Unusable], ids: set[str]) -> dict[str, Model | Unusable]:
    return {model_id: each for model_id, each in listed.items() if model_id not in ids}


def _require_none(broken: Iterable[str]) -> None:
    """Not a bare assert: what is broken must be readable in a long run's output."""
    if found := list(broken):
        raise AssertionError("; ".join(found))


def _is_complete(ended: Done | BaseException) -> bool:
    if not isinstance(ended, Done):
        return False
    cycles = ended.catalog.cycles
    return ended.complete and bool(cycles) and not any(cycle.failures for cycle in cycles)


def _has_completed(ended: Done | BaseException, kind: CycleKind) -> bool:
    cycles = ended.catalog.cycles if isinstance(ended, Done) else []
    return any(cycle.kind is kind and cycle.complete for cycle in cycles)
