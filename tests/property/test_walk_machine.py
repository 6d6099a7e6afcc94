"""
The crown: a source that changes, a follower that is interrupted, and in the end two equal catalogs.

Unlike the cases of ``test_planner_properties``, several partitions are open at once here: a
backfill or a backlog is cut for idle workers, pages are fetched and stored in any order, a process
dies between any two of these.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.live_listing import BASE_MS, Edit, LiveListing, Turn, rows
from support.walker import Follower

from syncer.domain import Millis

LONGEST_OVERLAP_MS = 4

pages = st.builds(
    Turn,
    limit=st.sampled_from((None, None, None, 0, 1, 2)),
    promises_more=st.sampled_from((False, False, True)),
)
picks = st.integers(0, 20)


class CatalogMachine(RuleBasedStateMachine):
    """One source, one catalog that follows it."""

    source: LiveListing
    follower: Follower

    def __init__(self) -> None:
        super().__init__()
        self.watermark_ms: Millis | None = None

    @initialize(
        rows=rows,
        page_size=st.sampled_from((1, 2, 2, 3, 7)),
        overlap_ms=st.integers(0, LONGEST_OVERLAP_MS),
        overlaps_ahead=st.none() | st.sampled_from((0, 0, 0, -2, -1, 1, 2)),
    )
    def start(
        self,
        rows: list[tuple[int, int]],
        page_size: int,
        overlap_ms: int,
        overlaps_ahead: int | None,
    ) -> None:
        """``Date`` may be right, wrong by overlaps, or absent."""
        date_ahead_ms = None if overlaps_ahead is None else overlaps_ahead * overlap_ms
        self.source = LiveListing(rows, date_ahead_ms=date_ahead_ms)
        self.follower = Follower(self.source, page_size=page_size, overlap_ms=overlap_ms)

    # --- the source

    @rule(tick_ms=st.integers(1, 3))
    def time_passes(self, tick_ms: int) -> None:
        self.source.pass_time(tick_ms)

    @rule(kind=st.sampled_from(("add", "update", "update")), pick=picks, late_ms=st.integers(0, 4))
    def a_model_changes(self, kind: str, pick: int, late_ms: int) -> None:
        """Visible at once, or late, but never later than the overlap."""
        self.source.apply(Edit(kind, pick, min(late_ms, self.follower.overlap_ms)))

    @rule(pick=picks)
    def a_model_is_removed(self, pick: int) -> None:
        self.source.apply(Edit("remove", pick))

    # --- the follower

    @precondition(lambda self: not self.follower.parts)
    @rule(turn=pages)
    def a_cycle_begins(self, turn: Turn) -> None:
        self.follower.begin(turn)

    @precondition(lambda self: self.follower.parts)
    @rule(pick=picks, turn=pages)
    def a_page_is_fetched(self, pick: int, turn: Turn) -> None:
        self.follower.ask(pick % len(self.follower.parts), turn)

    @precondition(lambda self: any(part.held for part in self.follower.parts))
    @rule(pick=picks)
    def a_page_is_stored(self, pick: int) -> None:
        held = [at for at, part in enumerate(self.follower.parts) if part.held is not None]
        self.follower.take(held[pick % len(held)])

    @precondition(lambda self: self.follower.parts)
    @rule(pick=picks, turns=st.lists(pages, max_size=6))
    def a_worker_makes_headway(self, pick: int, turns: list[Turn]) -> None:
        for turn in turns:
            if self.follower.parts:
                self.follower.step(pick % len(self.follower.parts), turn)

    @precondition(lambda self: self.follower.parts)
    @rule(pick=picks, parts=st.integers(2, 4))
    def a_partition_is_cut(self, pick: int, parts: int) -> None:
        self.follower.share(pick % len(self.follower.parts), parts)

    @rule()
    def the_process_dies(self) -> None:
        self.follower.crash()

    # --- what must hold

    @invariant()
    def the_watermark_never_decreases(self) -> None:
        proven = self.follower.proven
        if proven is None:
            return
        assert self.watermark_ms is None or proven.watermark_ms >= self.watermark_ms
        assert proven.watermark_ms <= BASE_MS + self.source.now_ms
        self.watermark_ms = proven.watermark_ms

    @invariant()
    def nothing_is_invented(self) -> None:
        stored = {content for _, content in self.follower.mirror.values()}
        assert stored <= self.source.ever_listed

    def teardown(self) -> None:
        """The source rests for one cycle: the mirror equals it."""
        if not hasattr(self, "follower"):
            return
        self.source.pass_time(LONGEST_OVERLAP_MS + 1)
        self.follower.catch_up()
        self.follower.check()


quick = settings(
    deadline=None,
    derandomize=True,
    max_examples=300,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)


def test_p1_after_one_quiet_cycle_the_mirror_equals_the_source() -> None:
    run_state_machine_as_test(CatalogMachine, settings=quick)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_p1_after_one_quiet_cycle_the_mirror_equals_the_source_at_length() -> None:
    run_state_machine_as_test(
        CatalogMachine,
        settings=settings(quick, derandomize=False, max_examples=5_000, stateful_step_count=80),
    )
