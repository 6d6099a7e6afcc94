"""What a tired person sees of ``syncer status``: what the lines mean, not their white space."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.screens import NARROW, STATES, WIDE, document, screen

from syncer.attention import Weight, ago, counted, notices, plain, span

WIDTHS = (NARROW, WIDE)
LONG_NAME = "all_the_models_of_the_second_project_and_some_more"


def words(name: str, **how: Any) -> str:
    """The whole screen with single spaces, as a reader takes it."""
    return " ".join(" ".join(screen(name, **how)).split())


def row(name: str, catalog: str, **how: Any) -> list[str]:
    """The cells of one catalog; two spaces part them."""
    (line,) = [each for each in screen(name, **how) if re.match(rf"{catalog} +\w", each)]
    return re.split(r"\s{2,}", line)


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert [line for line in screen(name, width=width) if len(line) > width] == []


@pytest.mark.parametrize("name", STATES)
def test_without_colour_every_word_is_still_there(name: str) -> None:
    coloured = "\n".join(screen(name, colour=True))
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)

    assert [line.rstrip() for line in bare.splitlines()] == screen(name)
    assert "\x1b" not in "".join(screen(name))


@pytest.mark.parametrize("name", STATES)
def test_through_a_pipe_each_thing_is_one_line(name: str) -> None:
    """For grep: a message is not cut to pieces, and nothing is painted."""
    told = document(name)
    lines = screen(name, terminal=False)

    assert "\x1b" not in "".join(lines)
    for notice in notices(told):
        assert sum(notice.what in line for line in lines) == 1
        assert any(line.strip() == f"fix: {notice.fix}" for line in lines)
    for catalog in told["catalogs"]:
        assert any(line.startswith(f"{catalog['name']} ") for line in lines)


@pytest.mark.parametrize("name", STATES)
def test_the_verdict_comes_first_then_what_is_wrong_then_the_catalogs(name: str) -> None:
    told, lines = document(name), screen(name)
    header = next(n for n, line in enumerate(lines) if line.startswith("catalog "))
    wrong = [n for n, line in enumerate(lines) if line.startswith("! ")]

    assert lines[0].startswith("ready" if told["ready"] else "NOT READY")
    assert len(wrong) == len(notices(told))
    assert all(0 < n < header for n in wrong)


@pytest.mark.parametrize("name", STATES)
def test_a_document_that_is_not_ready_says_why_and_every_notice_what_to_do(name: str) -> None:
    told = document(name)
    found = notices(told)

    assert told["ready"] or found
    for notice in found:
        assert notice.what
        assert re.search(r"'syncer [a-z]+|its log says", notice.fix)
        assert notice.fix.endswith(".")
    assert found == sorted(found, key=lambda each: each.weight)


def test_where_nothing_is_mirrored_it_is_said_once_with_the_command() -> None:
    (notice,) = notices(document("nothing at all"))

    assert (notice.weight, notice.what) == (Weight.STOPPED, "nothing is mirrored yet")
    assert notice.fix == "Run 'syncer sync'."
    assert row("nothing at all", "ours") == ["ours", "new", "0", "0", "0", "-", "-"]


def test_a_catalog_that_is_new_beside_others_is_named() -> None:
    (notice,) = notices(document("one of two is new"))

    assert (notice.where, notice.what) == ("ours", "nothing is mirrored yet")


def test_numbers_are_grouped_and_times_are_ages_with_units() -> None:
    assert row("idle", "ours") == ["ours", "idle", "1,234,567", "67", "0", "12 s ago", "2 d"]


def test_a_wide_terminal_also_shows_the_last_cycle_in_the_row() -> None:
    assert row("blocked", "ours", width=WIDE)[-1] == "delta failed, 4 min ago"
    assert "ours: last cycle delta failed, 4 min ago" in screen("blocked", width=NARROW)
    assert "last cycle" not in words("idle", width=NARROW)


def test_a_backfill_says_how_far_it_is_and_names_only_a_few_partitions() -> None:
    lines = screen("backfill")

    assert "public: 1 of 10 partitions done, 14,000 models on 46 pages so far" in lines
    assert sum(": walking, " in line for line in lines) == 6
    assert "  and 3 more: 'syncer status --json' has them all" in lines


def test_of_a_complete_cycle_no_partition_is_shown() -> None:
    assert "partition" not in words("idle")


def test_what_is_blocked_says_since_when_why_and_what_mends_it() -> None:
    (notice,) = notices(document("blocked"))

    assert (notice.weight, notice.where) == (Weight.STOPPED, "ours")
    assert notice.what.startswith("blocked, 4 min ago: GET /models answered 401")
    assert "syncer check" in notice.fix
    assert "! ours: blocked, 4 min ago: " in words("blocked")


def test_a_backfill_that_stands_still_says_that_nobody_works_on_it() -> None:
    first, second = notices(document("stuck backfill"))

    assert first.weight is Weight.STOPPED
    assert first.what.endswith("does not move; no process works on it")
    assert "syncer run" in first.fix
    assert (second.weight, second.what) == (Weight.LATE, "4 min ago: the source is unavailable")
    assert "syncer check" in second.fix


def test_a_late_catalog_is_put_into_units_for_people_and_names_who_works_on_it() -> None:
    (held,) = notices(document("late, somebody works"))
    (unheld,) = notices(document("late, nobody works"))
    what = "not up to date: the last complete cycle ended 67 min ago, the limit is 5 min"

    assert (held.weight, held.what) == (Weight.LATE, what)
    assert "worker-1:4711" in held.fix
    assert (unheld.weight, unheld.what) == (Weight.STOPPED, f"{what}; no process works on it")
    assert "syncer run" in unheld.fix


def test_a_failed_partition_is_named_with_its_remedy() -> None:
    (notice,) = notices(document("sweep"))

    assert notice.where == "public/everything@2025-06-01"
    assert "syncer check" in notice.fix


def test_removals_that_wait_are_said_once_with_the_number_that_lets_them_pass() -> None:
    """The sweep's own error has the remedy; where it is gone, the count alone has one."""
    ours, public = notices(document("removals wait"))

    assert (ours.where, public.where) == ("ours", "public")
    assert ours.what == (
        "30 min ago: 120 of 400 live models are gone, more than max_removed_fraction 0.2 allows; "
        "nothing was removed"
    )
    assert "--allow-removals 120" in ours.fix
    assert "--catalog public --allow-removals 7" in public.fix
    assert {ours.weight, public.weight} == {Weight.WAITING}


def test_quarantine_names_the_command_that_shows_why() -> None:
    (notice,) = notices(document("quarantine"))

    assert notice.what.startswith("1 model in quarantine")
    assert "syncer quarantine list --catalog public" in notice.fix


def test_a_retired_catalog_says_how_to_be_rid_of_it() -> None:
    assert notices(document("retired")) == []
    assert "'syncer forget former'" in words("retired")


def test_who_works_is_said_once_for_all_that_it_holds() -> None:
    assert "held by worker-1:4711: public, ours" in screen("idle")
    assert "held by" not in words("late, nobody works")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_is_folded_but_no_number_is_cut(width: int) -> None:
    lines = screen("long names", width=width)
    head = next(n for n, line in enumerate(lines) if line.startswith("catalog "))
    cells = re.split(r"\s{2,}", lines[head + 1])
    name = cells[0]
    for line in lines[head + 2 :]:
        if " " in line:
            break
        name += line

    assert cells[1:7] == ["blocked", "123,456,789", "1,234,567", "12,345", "12 s ago", "2 s"]
    assert name == LONG_NAME


def test_what_a_source_says_cannot_steer_the_terminal() -> None:
    shown = "\n".join(screen("long names"))

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "?[31mno?" in shown


def test_how_complete_the_details_are_is_said_where_they_are_wanted() -> None:
    shown = words("details", width=WIDE)

    assert "public: details of 12,345 of 12,345 models stored ours:" in shown
    assert (
        "ours: details of 1,000 of 1,200 models stored, 3 set aside, 197 still to be asked for"
    ) in shown
    assert "details" not in words("idle")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0.4, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
        (400_000_000, "4,630 d"),
    ],
)
def test_a_span_has_a_unit_that_leaves_a_small_number(seconds: float | None, said: str) -> None:
    assert span(seconds) == said
    assert ago(seconds) == ("-" if seconds is None else f"{said} ago")


def test_a_time_that_is_ahead_of_the_document_is_now() -> None:
    """Two machines' clocks differ by a little."""
    state = document("blocked")
    state["catalogs"][1]["last_error"] = state["catalogs"][1]["last_error"] | {
        "at": "2026-11-01T12:00:09.000Z"
    }
    (notice,) = notices(state)

    assert notice.what.startswith("blocked, 0 s ago: ")


def test_one_is_not_many() -> None:
    assert (counted(1, "model"), counted(1_234, "model")) == ("1 model", "1,234 models")


def test_a_message_of_several_lines_is_one() -> None:
    assert plain("first\n  second\tthird") == "first second third"
