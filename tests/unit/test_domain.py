"""Source time, and the words every layer shares."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest
from support.builders import model

from syncer import domain
from syncer.domain import (
    EPOCH,
    CycleKind,
    Lane,
    Millis,
    Partition,
    Plan,
    SortKey,
    Unusable,
    Walk,
    format_millis,
    key_time,
    known_id,
    to_datetime,
    to_millis,
)

AT_MS = 1_787_331_459_268
AT = datetime(2026, 8, 21, 16, 57, 39, 268_000, tzinfo=UTC)


def test_source_time_is_exact_to_the_millisecond_both_ways() -> None:
    assert to_datetime(AT_MS) == AT
    assert to_millis(AT) == AT_MS


def test_the_first_millisecond_is_never_its_very_beginning() -> None:
    """P3: which the driver takes for minus infinity, before all times that were copied."""
    first_ms = to_millis(datetime.min.replace(tzinfo=UTC))

    assert to_datetime(first_ms) > datetime.min.replace(tzinfo=UTC)
    assert to_millis(to_datetime(first_ms)) == first_ms
    assert to_datetime(first_ms - 1) == to_datetime(first_ms)
    assert to_datetime(first_ms + 1) > to_datetime(first_ms)


def test_finer_digits_are_cut_off_and_never_rounded_up() -> None:
    """Too old is safe; a rounded-up time would skip a millisecond."""
    assert to_millis(AT + timedelta(microseconds=999)) == AT_MS
    assert to_millis(EPOCH - timedelta(microseconds=1)) == -1


def test_any_aware_datetime_is_understood() -> None:
    assert to_millis(AT.astimezone(timezone(timedelta(hours=2)))) == AT_MS


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (AT_MS, "2026-08-21T16:57:39.268Z"),
        (AT_MS - 268, "2026-08-21T16:57:39.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_written_as_the_api_writes_them(at_ms: int, text: str) -> None:
    assert format_millis(at_ms) == text


def test_an_entry_is_told_apart_by_its_id_or_else_by_its_key() -> None:
    assert known_id(model("m1")) == "m1"
    assert known_id(Unusable("sha256:00", "no id", b"")) == "sha256:00"


def test_an_entrys_time_depends_on_the_order_that_is_asked() -> None:
    entry = model("m1", 5)._replace(updated_ms=Millis(7))

    assert key_time(entry, SortKey.CREATED) == 5
    assert key_time(entry, SortKey.UPDATED) == 7
    assert key_time(Unusable("x", "no dates", b""), SortKey.UPDATED) is None


def test_polls_go_first_and_details_last() -> None:
    assert sorted(Lane) == [
        Lane.POLL,
        Lane.DELETED_FEED,
        Lane.SWEEP,
        Lane.VERIFY,
        Lane.BACKFILL,
        Lane.DETAIL,
    ]


def test_nothing_that_travels_between_layers_can_be_changed() -> None:
    values = [
        each
        for _, each in inspect.getmembers(domain, inspect.isclass)
        if dataclasses.is_dataclass(each) and each.__module__ == domain.__name__
    ]

    assert values
    for each in values:
        assert each.__dataclass_params__.frozen, each.__name__  # type: ignore[attr-defined]
        assert not hasattr(each, "__dict__") or "__slots__" in vars(each), each.__name__


def test_only_a_backlog_has_a_ceiling() -> None:
    walk = Walk(SortKey.UPDATED, Millis(5), Millis(10))
    plan = Plan(CycleKind.DELTA, "time", "a backlog", (Partition("p", walk),), None, None)

    assert 9 == plan.ceiling_ms
    assert dataclasses.replace(plan, kind=CycleKind.SWEEP).ceiling_ms is None
    assert (
        dataclasses.replace(plan, partitions=(Partition("p", Walk(SortKey.UPDATED)),)).ceiling_ms
        is None
    )
