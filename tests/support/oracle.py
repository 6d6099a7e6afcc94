"""
The oracle: any order of edits, faults, jobs and crashes ends in a mirror that equals its source.

Owns the state machine and what it may draw. A ``Profile`` steers it: the whole breadth, or towards
one kind of trouble.
Kind: edge (simulator, database).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from support.oracle_edits import TRACED, UNTRACED, Edit, Turn
from support.oracle_process import End
from support.oracle_world import Conditions, World, world

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

Draw = st.SearchStrategy[Any]

FAULTS = (
    *("rate-limit-seconds", "rate-limit-bare", "plan-limit"),
    *("error-400", "error-404", "error-408", "error-500", "error-502-html", "error-503"),
    *("unauthorized", "html-200", "invalid-json", "no-models-key", "rejected-token"),
    *("repeated-token", "empty-page-with-token", "short-pages", "unsorted-page"),
    *("duplicate-rows", "out-of-bounds-row", "empty-string-end-token", "null-end-token"),
    *("no-date-header", "clock-behind-10m", "clock-ahead-10m"),
    *("reset-before-headers", "reset-after-headers", "truncated-body"),
)
HONEST_FAULTS = tuple(name for name in FAULTS if name != "clock-ahead-10m")
"""For a machine whose own clock is wrong: it cannot doubt a ``Date`` that is ahead."""
LAST_STATEMENT = 70
"""A short job has about as many."""
LAST_AWAIT = 120
"""Of a process, from its log-in to its end; its work is one of them."""


def edits(kinds: Sequence[str] = (*TRACED, *UNTRACED)) -> st.SearchStrategy[Edit]:
    return st.builds(Edit, st.sampled_from(kinds), st.integers(0, 14), st.integers(0, 4))


def turns(
    kinds: Sequence[str] = (*TRACED, *UNTRACED),
    *,
    ticks_ms: Sequence[int] = (0, 0, 1, 400, 1000),
    at_least: int = 0,
) -> Draw:
    """What happens before the first answers of a job."""
    turn = st.builds(
        Turn,
        edits=st.lists(edits(kinds), max_size=2).map(tuple),
        tick_ms=st.sampled_from(ticks_ms),
    )
    busy = st.lists(turn, min_size=at_least, max_size=at_least + 8)
    return busy if at_least else st.just(()) | busy


crashes = st.builds(
    End, st.sampled_from(("before", "while", "after")), st.integers(1, LAST_STATEMENT)
)
cancellations = st.builds(End, st.just("await"), st.integers(1, LAST_AWAIT))
stops = st.builds(End, st.just("stop"), st.integers(1, 8))
rivals = st.builds(
    End, st.sampled_from(("answer", "commit")), st.integers(1, 8), expire=st.booleans()
)


def ends() -> Draw:
    """How jobs end: half of them by themselves."""
    return st.just(End()) | crashes | cancellations | stops | rivals


faults = st.just(()) | st.lists(
    st.tuples(st.sampled_from(FAULTS), st.integers(1, 3)), min_size=1, max_size=2
)
job_kinds = st.sampled_from(("sync", "sync", "sync", "backfill", "sweep", "sweep"))
conditions = st.builds(
    Conditions,
    page_size=st.sampled_from((1, 2, 2, 3, 7)),
    overlap_s=st.integers(0, 4),
    concurrency=st.sampled_from((1, 1, 2, 3)),
    sweep_interval_s=st.sampled_from((0.001, 3600)),
    keys=st.sampled_from(
        ((), (), (("partition_by", "time"),), (("partition_by", "tag"),)),
    ),
)


first_edits = st.lists(edits((*TRACED, "surface", "surface")), max_size=10)


def befores(
    kinds: Sequence[str] = (*TRACED, *UNTRACED),
    *,
    ticks_ms: Sequence[int] = (0, 0, 1, 400, 1000, 2000, 5000, 3_600_000, 86_400_000),
) -> Draw:
    """What happens between two jobs."""
    return st.builds(
        Turn,
        edits=st.lists(edits(kinds), max_size=3).map(tuple) if kinds else st.just(()),
        tick_ms=st.sampled_from(ticks_ms),
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """What the machine may draw."""

    conditions: Draw = conditions
    first: Draw = first_edits
    before: Draw = field(default_factory=befores)
    jobs: Draw = job_kinds
    turns: Draw = field(default_factory=turns)
    ends: Draw = field(default_factory=ends)
    faults: Draw = faults
    with_tags: bool = True
    steps: int = 5


def drawn(name: str) -> Draw:
    """A strategy of the running machine's profile."""
    return st.runner().flatmap(lambda machine: getattr(machine.profile, name))


class Oracle(RuleBasedStateMachine):
    """One source, one mirror; every step is followed by every invariant."""

    url = ""
    profile = Profile()
    world: World

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._stack = AsyncExitStack()
        self._unheard: list[dict[str, Any]] = []
        self._is_whole = False

    @initialize(conditions=drawn("conditions"), first=drawn("first"))
    def begin(self, conditions: Conditions, first: list[Edit]) -> None:
        self._runner.get_loop().set_exception_handler(
            lambda _, context: self._unheard.append(context)
        )
        opening = world(self.url, conditions, first, with_tags=self.profile.with_tags)
        self.world = self._run(self._stack.enter_async_context(opening))

    @rule(
        before=drawn("before"),
        kind=drawn("jobs"),
        turns=drawn("turns"),
        end=drawn("ends"),
        faults=drawn("faults"),
    )
    def a_job_runs(
        self,
        before: Turn,
        kind: str,
        turns: Sequence[Turn],
        end: End,
        faults: Sequence[tuple[str, int]],
    ) -> None:
        """One rule for all: Hypothesis leaves rules out at random, and each step needs a job."""
        self.world.author.play(before)
        self._run(self.world.job(kind, turns, end, faults))

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._run(self.world.rest())
        finally:
            self._run(self._stack.aclose())
            self._runner.close()
        assert [] == self._unheard

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        self._is_whole = False
        result = self._runner.run(work)
        self._is_whole = True
        return result


quick = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    suppress_health_check=list(HealthCheck),
)
unshrunk = settings(quick, phases=[Phase.generate], report_multiple_bugs=False)


def run_oracle(url: str, profile: Profile = Profile(), chosen: settings = quick) -> None:
    """Play examples on one migrated database.

    Raises:
        AssertionError: an invariant does not hold.
    """
    machine = type("OracleOfOneDatabase", (Oracle,), {"url": url, "profile": profile})
    # The beginning counts as one.
    steps = settings(chosen, stateful_step_count=profile.steps + 1)
    run_state_machine_as_test(machine, settings=steps)
