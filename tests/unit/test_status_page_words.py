"""The small parts of the status page: words, scales and the points of its plots."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from syncer.web.page import Extras, Facts, ModelCount
from syncer.web.page.plots import Plot, draw, scale, short
from syncer.web.page.series import MAX_DAYS, all_series
from syncer.web.page.words import ago, count, day, duration, machine, moment, sentence, weekday_hour
from syncer.web.page.words import short as cut

NOW = datetime(2026, 11, 26, 21, 40, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (-3, "0 s"),
        (0, "0 s"),
        (0.2, "under 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86_400 + 7200, "1 d 2 h"),
        (86_400 * 4000, "4,000 d"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_times_are_utc_and_say_how_long_ago() -> None:
    elsewhere = datetime(2026, 11, 26, 23, 40, 2, tzinfo=timezone(timedelta(hours=2)))

    assert moment(elsewhere) == "2026-11-26 21:40:02 UTC"
    assert machine(elsewhere) == "2026-11-26T21:40:02Z"
    assert weekday_hour(elsewhere) == "Thu 21:40"
    assert day(date(2026, 3, 8)) == "8 Mar"
    assert ago(elsewhere, NOW) == "10 s ago"
    assert ago(NOW, elsewhere) == "in 10 s"
    assert ago(NOW, NOW) == "just now"
    assert (count(None), count(1234567)) == ("unknown", "1,234,567")


def test_long_names_are_cut_and_messages_are_not() -> None:
    assert cut("a" * 120) == "a" * 120
    assert cut("a" * 121) == "a" * 119 + "…"
    assert sentence("a" * 5000) == "a" * 5000
    assert (cut(None), sentence(None)) == ("", "")


@pytest.mark.parametrize("limit", [None, 1, 90, 1000])
@pytest.mark.parametrize("top", [0, 1, 2, 3, 4, 5, 7, 10, 49, 90, 95, 700, 12_345, 1_000_001])
def test_a_scale_is_few_whole_numbers_from_zero(top: int, limit: int | None) -> None:
    highest = max(top, limit or 0)
    ticks = scale(highest, limit)

    assert ticks[0] == 0
    assert list(ticks) == sorted(set(ticks))
    assert 2 <= len(ticks) <= 6
    assert limit is None or limit in ticks
    # Where the limit stands in for the last round number, it is near it.
    assert ticks[-1] >= highest * 0.75


def test_short_counts() -> None:
    assert [short(each) for each in (0, 950, 1500, 250_000, 1_000_000, 2_500_000)] == [
        "0",
        "950",
        "1.5k",
        "250k",
        "1M",
        "2.5M",
    ]


def bars(values: tuple[int | None, ...]) -> str:
    return draw(
        Plot("k", 'A "title" <b>', "What & why", tuple(f"{n}" for n in range(len(values))), values)
    )


def test_a_drawing_has_a_bar_for_each_known_value_and_holds_nothing_that_runs() -> None:
    svg = bars((3, None, 5, 1))

    assert svg.count("<rect") == 3
    assert 'aria-labelledby="plot-k-title plot-k-desc"' in svg
    assert "&lt;b&gt;</title>" in svg
    assert "<desc" in svg
    for word in ("script", "style", "href", "tooltip-overlay", "<a", "onclick", "http"):
        assert word not in svg


def test_a_mirror_of_years_is_drawn_with_few_points_and_ends_today() -> None:
    first = date(2020, 1, 1)
    known = (ModelCount(first, 1, 0), ModelCount(date(2026, 1, 1), 700, 4))
    series = all_series(Extras(models_over_time=known), (), NOW, Facts())[0]

    assert 45 < len(series.plot.values) <= MAX_DAYS
    assert series.plot.labels[-1] == "26 Nov"
    assert (series.plot.values[0], series.plot.values[-1]) == (1, 700)
    assert series.rows == (("2026-01-01", "700", "4"), ("2020-01-01", "1", "0"))


def test_the_minute_under_way_is_not_taken_for_a_full_one() -> None:
    minute = NOW.replace(second=0)
    sent = ((minute, 3), (minute - timedelta(minutes=1), 40), (minute - timedelta(minutes=9), 60))
    (series,) = all_series(None, sent, NOW, Facts())

    assert series.note == "40 in the last full minute, 60 in the busiest. Sent by this process."
    assert len(series.plot.values) == 60
    assert series.plot.values[-1] == 3
    assert series.rows[0] == ("21:40", "3")


def test_one_shot_commands_do_not_pay_for_the_page() -> None:
    """Template engine and charts come with the first page, not with the program."""
    script = (
        "import sys, syncer.web.page as page;"
        " print([name for name in ('jinja2', 'pygal') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert answer.stdout.strip() == b"[]"
