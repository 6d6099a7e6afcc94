"""What a cycle takes for the source's time, and how much of an implausible one it believes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from support.builders import page
from support.virtual_clock import JumpClock

from syncer.config import CatalogSettings
from syncer.crawl import Fetched
from syncer.domain import Millis, to_millis
from syncer.engine import Engine
from syncer.errors import SyncerError
from syncer.planner.frontier import MAX_ROW_AHEAD_MS
from syncer.planner.walk import Reading
from syncer.sourcetime import backlog_ceiling, source_now
from syncer.store.catalogs import CatalogState

if TYPE_CHECKING:
    from syncer.context import CatalogContext

OVERLAP_S = 300.0
NEW = CatalogState(
    scope_holds=True,
    pin=None,
    backfilled_at=None,
    watermark_ms=None,
    settled_from_ms=None,
    head_ms=None,
    last_complete_at=None,
    retired=False,
)
CLOCK = JumpClock()
OUR_NOW = to_millis(CLOCK.now())
LATEST = OUR_NOW + MAX_ROW_AHEAD_MS
"""The latest source time that is believed without a ``Date``."""


class Voice:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[float] = []

    def date_doubted(self, *, ahead_s: float) -> None:
        self.said.append(ahead_s)


@pytest.fixture(name="engine")
def make_engine() -> Engine:
    """Of its context only what telling the time needs."""
    settings = CatalogSettings(overlap_s=OVERLAP_S)
    context = SimpleNamespace(
        name="public",
        clock=CLOCK,
        settings=settings,
        overlap_ms=round(OVERLAP_S * 1000),
        voice=Voice(),
    )
    return Engine(cast("CatalogContext", context))


def fetched(listed: str = "", *, now: int | None = None) -> Fetched:
    return Fetched(page(listed, now=now), Reading(), 100)


def known(*, head: int | None = None, watermark: int | None = None) -> CatalogState:
    return replace(
        NEW,
        head_ms=None if head is None else Millis(head),
        watermark_ms=None if watermark is None else Millis(watermark),
    )


# --- source time


def test_the_source_time_is_its_date(engine: Engine) -> None:
    """Whatever its rows say, and however far our clock is ahead of it."""
    for now in (0, 5000, OUR_NOW):
        assert source_now(engine.context, fetched("a@7000", now=now), known(head=9000)) == now


def test_a_date_ahead_of_our_clock_is_doubted_aloud(engine: Engine) -> None:
    now = OUR_NOW + 600_000

    assert source_now(engine.context, fetched("a@7000", now=now), known(head=9000)) == 9000
    assert engine.context.voice.said == [600.0]  # type: ignore[attr-defined]


def test_without_a_date_the_source_time_is_the_newest_one_seen(engine: Engine) -> None:
    assert source_now(engine.context, fetched("a@5000 b@7000"), NEW) == 7000
    assert source_now(engine.context, fetched("a@5000"), known(head=8000)) == 8000
    assert source_now(engine.context, fetched("a@5000"), known(watermark=9000)) == 9000


def test_without_a_date_a_row_without_a_time_tells_nothing(engine: Engine) -> None:
    assert source_now(engine.context, fetched("a@5000 b@?"), NEW) == 5000


def test_without_a_date_a_time_far_past_our_own_clock_is_not_believed(engine: Engine) -> None:
    """Too old is safe; too new would settle what may still gain models."""
    assert source_now(engine.context, fetched(f"a@5000 b@{LATEST}"), NEW) == LATEST
    assert source_now(engine.context, fetched(f"a@5000 b@{LATEST + 1}"), NEW) == 5000
    assert source_now(engine.context, fetched("a@5000"), known(head=LATEST + 1)) == 5000


def test_without_a_date_and_without_a_row_the_source_time_is_as_old_as_can_be(
    engine: Engine,
) -> None:
    assert source_now(engine.context, fetched(), NEW) == 0


# --- the ceiling of a backlog


@pytest.mark.parametrize(
    ("now", "newest", "ceiling"),
    [
        pytest.param(None, 7000, None, id="without a date, to the end of the listing"),
        pytest.param(5000, None, 5999, id="to the end of the second that date tells"),
        pytest.param(5000, 4000, 5999, id="also when the rows are older"),
        pytest.param(5000, 5999, 5999, id="and no further than the rows of that second"),
        pytest.param(5000, 6000, None, id="to the end of the listing, if date lies behind it"),
        pytest.param(5000, 5000 + MAX_ROW_AHEAD_MS, None, id="by an hour at most"),
        pytest.param(5000, 5001 + MAX_ROW_AHEAD_MS, 5999, id="not to a row in a distant future"),
    ],
)
def test_a_backlog_is_read_up_to_what_the_source_had_when_it_was_first_asked(
    now: int | None, newest: int | None, ceiling: int | None
) -> None:
    told = backlog_ceiling(
        None if now is None else Millis(now), None if newest is None else Millis(newest)
    )

    assert told == ceiling


# --- where a delta walk starts


@pytest.mark.parametrize(("settled_from", "after"), [(10**9, 1000), (None, 999)])
def test_a_delta_walk_starts_where_the_settle_rule_says(
    engine: Engine, settled_from: int | None, after: int
) -> None:
    settled = None if settled_from is None else Millis(settled_from)
    state = replace(known(watermark=1000), pin="somewhere", settled_from_ms=settled)

    assert engine._delta_after(state) == after


def test_a_catalog_that_never_listed_anything_is_asked_for_everything(engine: Engine) -> None:
    """``Date`` alone says nothing about the timestamps of models that are yet to come."""
    assert engine._delta_after(replace(known(watermark=10**9), settled_from_ms=OUR_NOW)) == 0


def test_a_catalog_that_is_backfilled_and_has_no_watermark_is_not_followed(engine: Engine) -> None:
    with pytest.raises(SyncerError, match="catalog public has no watermark"):
        engine._delta_after(NEW)
