"""Requests by minute: an hour of them, oldest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncer.web.minutes import KEPT, Minutes

AT = datetime(2026, 11, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_happens_in_one_minute_is_counted_together() -> None:
    minutes = Minutes()
    for at in (AT, AT + timedelta(seconds=29), AT + timedelta(seconds=30)):
        minutes.count(at)

    noon = AT.replace(second=0)
    assert [(noon, 2), (noon + MINUTE, 1)] == minutes.until(AT + MINUTE)


def test_an_hour_is_kept() -> None:
    minutes = Minutes()
    for number in range(3 * KEPT):
        minutes.count(AT + number * MINUTE)
    last = AT + (3 * KEPT - 1) * MINUTE

    assert KEPT == len(minutes.until(last))
    assert 1 == len(minutes.until(last + (KEPT - 1) * MINUTE))
    assert [] == minutes.until(last + KEPT * MINUTE)


def test_a_clock_that_was_set_back_loses_nothing() -> None:
    minutes = Minutes()
    minutes.count(AT)
    minutes.count(AT - 10 * MINUTE)

    assert [2] == [number for _, number in minutes.until(AT)]
