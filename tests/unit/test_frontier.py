"""The settle rule in numbers: from where the next delta walk asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncer.domain import Cycle, CycleKind, Millis, Proven
from syncer.planner.frontier import (
    MAX_DATE_AHEAD_MS,
    Frontier,
    believed_date,
    delta_after,
    first_watermark,
    newest_seen,
    prove,
    raised_watermark,
)

OVERLAP_MS = 300


def after(watermark: int, settled_from: int | None) -> int:
    settled = None if settled_from is None else Millis(settled_from)
    return delta_after(Frontier(Millis(watermark), settled), overlap_ms=OVERLAP_MS)


def test_before_the_first_delta_cycle_the_watermarks_own_instant_is_asked_again() -> None:
    assert after(1000, None) == 999


def test_a_watermark_older_than_the_overlap_is_asked_after_and_nothing_is_read_again() -> None:
    """1000 was 500 ms old when the last cycle began: it can gain no more models."""
    assert after(1000, 1500) == 1000


def test_a_watermark_as_old_as_the_overlap_may_still_gain_models() -> None:
    assert after(1000, 1300) == 999


def test_a_recent_watermark_is_asked_from_the_overlap_before_the_cycle() -> None:
    assert after(1000, 1100) == 799


@pytest.mark.parametrize("settled_from", [1500, 10_000, 10**12])
def test_waiting_longer_costs_nothing_and_moves_nothing(settled_from: int) -> None:
    assert after(1000, settled_from) == 1000


def test_delta_walks_begin_an_overlap_before_the_backfill_began() -> None:
    assert first_watermark(Millis(5000), overlap_ms=OVERLAP_MS) == 4700


@pytest.mark.parametrize(
    ("watermark", "newest", "ceiling", "raised"),
    [
        pytest.param(10, None, None, 10, id="nothing was found, so nothing is proven"),
        pytest.param(10, None, 50, 10, id="nothing was found up to a ceiling"),
        pytest.param(10, 30, None, 30, id="the newest row of a poll"),
        pytest.param(10, 30, 50, 30, id="the newest row below the ceiling"),
        pytest.param(10, 60, 50, 50, id="never past the ceiling"),
        pytest.param(40, 30, 50, 40, id="never back"),
        pytest.param(60, 70, 50, 60, id="never back to a ceiling"),
    ],
)
def test_a_watermark_rises_to_the_newest_row_that_was_asked_for(
    watermark: int, newest: int | None, ceiling: int | None, raised: int
) -> None:
    assert raised == raised_watermark(
        Millis(watermark),
        newest_ms=None if newest is None else Millis(newest),
        ceiling_ms=None if ceiling is None else Millis(ceiling),
    )


# --- doubts


@pytest.mark.parametrize(
    ("date", "believed"),
    [
        pytest.param(None, None, id="there is none"),
        pytest.param(50_000, 50_000, id="behind our clock: too old is safe"),
        pytest.param(100_000 + MAX_DATE_AHEAD_MS, 100_000 + MAX_DATE_AHEAD_MS, id="a little ahead"),
        pytest.param(100_001 + MAX_DATE_AHEAD_MS, None, id="ahead: as good as none"),
    ],
)
def test_a_date_ahead_of_our_clock_is_as_good_as_none(
    date: int | None, believed: int | None
) -> None:
    told = believed_date(None if date is None else Millis(date), our_now_ms=Millis(100_000))

    assert told == believed


def test_without_a_date_the_newest_time_seen_stands_in_unless_it_is_from_the_future() -> None:
    seen = [None, Millis(5), Millis(9), Millis(99)]

    assert newest_seen(seen, latest_ms=50) == 9
    assert newest_seen(seen, latest_ms=4) == 0


def cycle(kind: CycleKind, *, now: int, ceiling: int | None = None) -> Cycle:
    upto = None if ceiling is None else Millis(ceiling)
    return Cycle(1, "public", kind, "time", "why", Millis(now), upto)


@pytest.mark.parametrize(
    ("kind", "stored", "newest", "watermark", "head"),
    [
        pytest.param(CycleKind.DELTA, 10, 40, 40, 40, id="a poll"),
        pytest.param(CycleKind.DELTA, 10, None, 10, None, id="a poll without a row"),
        pytest.param(CycleKind.DELTA, 10, 2000, 2000, 2000, id="a row that is only just believed"),
        pytest.param(CycleKind.DELTA, 10, 2001, 900, 900, id="a row from the future"),
        pytest.param(CycleKind.DELTA, None, 40, 600, 40, id="a poll before there is a watermark"),
        pytest.param(CycleKind.BACKFILL, None, 40, 600, 40, id="a first filling"),
        pytest.param(CycleKind.BACKFILL, 800, 40, 800, 40, id="never back"),
        pytest.param(CycleKind.SWEEP, None, None, 600, None, id="an empty listing"),
    ],
)
def test_what_a_complete_cycle_proves(
    kind: CycleKind, stored: int | None, newest: int | None, watermark: int, head: int | None
) -> None:
    told = prove(
        None if stored is None else Millis(stored),
        None if newest is None else Millis(newest),
        cycle(kind, now=900),
        overlap_ms=OVERLAP_MS,
        latest_ms=2000,
    )

    assert told == Proven(Millis(watermark), None if head is None else Millis(head))


def test_new_models_of_a_private_listing_prove_nothing_of_the_others() -> None:
    """P8: they move neither the watermark nor the freshness."""
    told = prove(
        Millis(10),
        Millis(40),
        cycle(CycleKind.DELTA, now=900),
        overlap_ms=OVERLAP_MS,
        latest_ms=2000,
        has_delta=False,
    )

    assert told == Proven(Millis(10), Millis(40), is_fresh=False)


@pytest.mark.parametrize(("strategy", "watermark"), [("time", 600), ("probe", 850)])
def test_a_sweep_in_one_answer_is_the_listing_of_one_moment(strategy: str, watermark: int) -> None:
    """One that took several may have passed a row before it changed."""
    told = prove(
        Millis(10),
        Millis(850),
        replace(cycle(CycleKind.SWEEP, now=900), strategy=strategy),
        overlap_ms=OVERLAP_MS,
        latest_ms=2000,
    )

    assert told == Proven(Millis(watermark), Millis(850))
