"""The arithmetic of the benchmark suite, on made-up figures."""

from __future__ import annotations

import pytest
from bench.figures import (
    Report,
    Row,
    busiest_window,
    document,
    mean_rate,
    percentile,
    ratio,
    ratios_to,
    rows_from,
    shorten,
    table,
)

ROUNDS = [
    {"ours": {"models_per_s": 100.0, "requests": 4}, "theirs": {"models_per_s": 50.0}},
    {"ours": {"models_per_s": 30.0, "requests": 4}, "theirs": {"models_per_s": 10.0}},
    {"ours": {"models_per_s": 80.0, "requests": 6}, "theirs": {"models_per_s": 80.0}},
]


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    ours, theirs = rows_from(ROUNDS)

    assert ours.median() == {"models_per_s": 80, "requests": 4}
    assert theirs.median() == {"models_per_s": 50}
    assert ratio(ours, theirs, "models_per_s") == 2
    assert ratios_to("ours", (ours, theirs), "models_per_s") == {"theirs": 2}


def test_a_figure_that_somebody_lacks_has_no_ratio() -> None:
    ours, theirs = rows_from(ROUNDS)

    assert ratio(ours, theirs, "requests") is None
    assert ratios_to("nobody", (ours, theirs), "models_per_s") == {}
    assert ratios_to("ours", (ours, Row("idle", ({"requests": 0},))), "requests") == {}


def test_the_table_shows_medians_ratios_and_notes_in_columns() -> None:
    rows = rows_from(ROUNDS)
    report = Report("race", rows, ("a note",), {"times": ratios_to("ours", rows, "models_per_s")})

    assert table(report).splitlines() == [
        "== race",
        "        models per",
        "                 s  requests     times",
        "ours            80         4         .",
        "theirs          50         .         2",
        "  - a note",
    ]


def test_the_document_keeps_each_round() -> None:
    shown = document(Report("race", rows_from(ROUNDS)))

    assert [row["label"] for row in shown["rows"]] == ["ours", "theirs"]
    assert shown["rows"][1]["rounds"] == [each["theirs"] for each in ROUNDS]
    assert shown["rows"][1]["median"] == {"models_per_s": 50}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "."), (0.0, "0"), (12.0, "12"), (1234.5, "1,234"), (0.12345, "0.123"), (99.96, "100")],
)
def test_a_figure_is_shown_in_three_digits_or_whole(value: float | None, text: str) -> None:
    assert shorten(value) == text


def test_percentiles_are_values_that_were_measured() -> None:
    delays = [float(number) for number in range(200, 0, -1)]

    assert percentile(delays, 0.5) == 100
    assert percentile(delays, 0.99) == 198
    assert percentile(delays[:3], 0.99) == 200
    assert percentile(delays, 0) == 1


def test_windows_are_half_open_and_begin_at_each_arrival() -> None:
    assert busiest_window([0.0, 59.9, 60.0], 60) == 2
    assert busiest_window([0.0, 1.0, 59.9, 60.0, 60.5, 130.0], 60) == 4
    assert busiest_window([], 60) == 0


def test_a_mean_rate_counts_the_intervals_between_arrivals() -> None:
    assert mean_rate([10.0, 11.0, 12.0, 13.0], 60) == 60
    assert mean_rate([0.0, 0.0, 0.0, 30.0], 60) == 6
    assert mean_rate([1.0], 60) == mean_rate([], 60) == 0
