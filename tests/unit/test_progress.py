"""A person sees what is done and what is left; a log file is not flooded; stdout stays clean."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from structlog.testing import CapturingLogger

from syncer.progress import BarProgress, LogProgress, NoProgress, Progress, build_progress
from syncer.progress.bars import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class HandClock:
    """Moves when told."""

    at_s: float = 100.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError(delay_s)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Stage:
    """Bars, and what is on the screen."""

    clock: HandClock = field(default_factory=HandClock)
    terminal: Terminal = field(default_factory=Terminal)

    def __post_init__(self) -> None:
        self.console = Console(
            file=self.terminal, force_terminal=True, width=140, color_system=None, _environ={}
        )
        self.bars = BarProgress(self.console, self.clock, auto_refresh=False)

    @property
    def screen(self) -> str:
        with self.console.capture() as captured:
            self.console.print(self.bars._render())
        return captured.get()


@pytest.fixture(name="stage")
def stage_fixture() -> Stage:
    return Stage()


@pytest.fixture(name="clock")
def clock_fixture() -> HandClock:
    return HandClock()


@pytest.fixture(name="log")
def log_fixture() -> CapturingLogger:
    return CapturingLogger()


def start(progress: Progress, catalog: str = "public", models: int | None = 1000) -> None:
    progress.cycle_started(
        catalog=catalog,
        kind="backfill",
        reason="first filling",
        estimated_models=models,
        estimated_requests=3,
    )


def commit(progress: Progress, catalog: str = "public", models: int = 250) -> None:
    progress.request_finished(outcome="ok", duration_s=0.1)
    progress.page_committed(
        catalog=catalog,
        partition="all",
        models=models,
        inserted=models - 10,
        updated=5,
        unchanged=4,
        quarantined=1,
        bytes=1000,
    )


@pytest.mark.parametrize("kind", ["none", "log", "bar"])
def test_every_progress_takes_every_call_in_any_order(
    kind: str, clock: HandClock, log: CapturingLogger, stage: Stage
) -> None:
    """The engine does not guard its calls, so none of them may raise, not even unannounced."""
    progress: Progress = {"none": NoProgress(), "log": LogProgress(log, clock), "bar": stage.bars}[  # type: ignore[dict-item]
        kind
    ]

    progress.cycle_finished(catalog="never_started", kind="delta", outcome="failed")
    commit(progress, catalog="never_announced")
    progress.partition_changed(catalog="another", done=1, known=2)
    progress.waiting(reason="throttled", delay_s=1.0)
    start(progress, models=None)
    commit(progress)
    start(progress, models=0)
    commit(progress)
    progress.cycle_finished(catalog="public", kind="backfill", outcome=COMPLETE)
    progress.cycle_finished(catalog="public", kind="backfill", outcome=COMPLETE)


def test_log_lines_come_at_most_once_per_interval_and_catalog(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock, interval_s=10.0)  # type: ignore[arg-type]
    start(progress, "one")
    start(progress, "two")

    for _ in range(25):
        clock.at_s += 1.0
        commit(progress, "one", models=10)
        commit(progress, "two", models=10)

    said = [call.kwargs["catalog"] for call in log.calls]
    assert said == ["one", "two", "one", "two"]


def test_a_short_cycle_writes_no_progress_line(clock: HandClock, log: CapturingLogger) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    start(progress)
    commit(progress)
    clock.at_s += 9.9
    commit(progress)
    progress.cycle_finished(catalog="public", kind="backfill", outcome=COMPLETE)

    assert log.calls == []


def test_a_poll_beside_a_sweep_does_not_end_what_is_told_of_the_sweep(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    start(progress)
    commit(progress)
    progress.cycle_finished(catalog="public", kind="delta", outcome=COMPLETE)
    clock.at_s += 11
    commit(progress)

    (line,) = log.calls
    assert (line.kwargs["kind"], line.kwargs["models"]) == ("backfill", 500)


def test_what_was_never_announced_is_forgotten_with_whatever_ends(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    commit(progress)
    progress.cycle_finished(catalog="public", kind="delta", outcome=COMPLETE)
    commit(progress)
    clock.at_s += 11
    commit(progress)

    assert [call.kwargs["models"] for call in log.calls] == [500]


def test_a_log_line_says_what_is_done_how_fast_and_what_is_left(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    start(progress)
    commit(progress)
    progress.partition_changed(catalog="public", done=1, known=4)
    clock.at_s += 10
    commit(progress)

    [call] = log.calls
    assert call.method_name == "info"
    assert call.args == ("progress_reported",)
    assert call.kwargs == {
        "catalog": "public",
        "kind": "backfill",
        "models": 500,
        "estimated_models": 1000,
        "inserted": 480,
        "updated": 10,
        "unchanged": 8,
        "quarantined": 2,
        "pages": 2,
        "size_bytes": 2000,
        "requests": 2,
        "estimated_requests": 3,
        "partitions_done": 1,
        "partitions_known": 4,
        "models_per_s": 50.0,
        "remaining_s": 10,
    }


def test_without_an_estimate_nothing_is_said_to_remain(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    start(progress, models=None)
    clock.at_s += 10
    commit(progress)

    assert log.calls[0].kwargs["remaining_s"] is None


def test_a_new_cycle_of_a_catalog_counts_from_nothing(
    clock: HandClock, log: CapturingLogger
) -> None:
    progress = LogProgress(log, clock)  # type: ignore[arg-type]
    start(progress)
    commit(progress)
    start(progress)
    clock.at_s += 10
    commit(progress, models=20)

    assert log.calls[0].kwargs["models"] == 20


def test_a_bar_shows_models_pages_requests_rate_and_what_remains(stage: Stage) -> None:
    start(stage.bars)
    stage.bars.partition_changed(catalog="public", done=1, known=4)
    stage.clock.at_s += 5
    commit(stage.bars)

    assert "public backfill" in stage.screen
    assert "250/1,000 models · 1 page · 1/4 partitions · 50 models/s · 15 s left" in stage.screen
    assert "1 quarantined" in stage.screen
    assert "1 request\n" in stage.screen


def test_there_is_one_bar_per_catalog_also_over_several_cycles(stage: Stage) -> None:
    start(stage.bars, "one")
    start(stage.bars, "two")
    commit(stage.bars, "one")
    start(stage.bars, "one")

    assert stage.screen.count("one backfill") == 1
    assert stage.screen.count("two backfill") == 1
    assert "250" not in stage.screen


@pytest.mark.parametrize("estimate", [None, 100])
def test_a_bar_without_a_useful_estimate_names_no_end(stage: Stage, estimate: int | None) -> None:
    """Unknown, or exceeded by what really came: a bar at 100 % would be a lie."""
    start(stage.bars, models=estimate)
    stage.clock.at_s += 5
    commit(stage.bars)

    assert stage.bars._bars.tasks[0].total is None
    assert "250 models · 1 page · 50 models/s" in stage.screen
    assert "left" not in stage.screen


@pytest.mark.parametrize("models", [0, 250])
def test_a_complete_cycle_has_a_full_bar_even_when_nothing_came(stage: Stage, models: int) -> None:
    start(stage.bars, models=None)
    if models:
        commit(stage.bars, models=models)
    stage.bars.cycle_finished(catalog="public", kind="backfill", outcome=COMPLETE)

    assert "public backfill complete" in stage.screen
    assert stage.bars._bars.tasks[0].percentage == 100


@pytest.mark.parametrize(("estimate", "models"), [(1000, 250), (250, 250), (None, 250), (None, 0)])
def test_a_cycle_that_is_not_complete_never_has_a_full_bar(
    stage: Stage, estimate: int | None, models: int
) -> None:
    start(stage.bars, models=estimate)
    if models:
        commit(stage.bars, models=models)
    stage.bars.cycle_finished(catalog="public", kind="backfill", outcome="failed")

    assert "public backfill failed" in stage.screen
    assert stage.bars._bars.tasks[0].percentage < 100


def test_waiting_is_shown_with_its_reason_until_it_is_over(stage: Stage) -> None:
    start(stage.bars)
    stage.bars.waiting(reason="the source asked us to slow down (429)", delay_s=75.0)
    stage.clock.at_s += 5

    assert "waiting 1 min 10 s: the source asked us to slow down (429)" in stage.screen

    stage.clock.at_s += 70

    assert "waiting" not in stage.screen


def test_waiting_is_over_when_a_page_arrives(stage: Stage) -> None:
    start(stage.bars)
    stage.bars.waiting(reason="throttled", delay_s=75.0)
    commit(stage.bars)

    assert "waiting" not in stage.screen


def test_hours_are_told_as_hours(stage: Stage) -> None:
    start(stage.bars, models=1_000_000)
    stage.clock.at_s += 10
    commit(stage.bars, models=1000)

    assert "2 h 46 min left" in stage.screen


def test_names_are_text_and_never_markup(stage: Stage) -> None:
    start(stage.bars, "[bold]")

    assert "[bold] backfill" in stage.screen


@pytest.mark.parametrize("ending", [None, ValueError, KeyboardInterrupt])
def test_the_terminal_is_restored_however_the_work_ends(
    stage: Stage, ending: type[BaseException] | None
) -> None:
    before = sys.stdout, sys.stderr
    try:
        with stage.bars:
            start(stage.bars)
            assert sys.stdout is before[0]
            if ending:
                raise ending
    except (ValueError, KeyboardInterrupt):
        pass

    written = stage.terminal.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert (sys.stdout, sys.stderr) == before


@pytest.fixture(name="colour_terminal")
def colour_terminal_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def test_a_terminal_gets_bars(
    colour_terminal: Terminal, clock: HandClock, log: CapturingLogger
) -> None:
    with build_progress(colour_terminal, json_output=False, log=log, clock=clock) as progress:  # type: ignore[arg-type]
        assert isinstance(progress, BarProgress)
        start(progress)

    assert "public backfill" in colour_terminal.getvalue()
    assert log.calls == []


def test_beside_json_the_bars_are_wiped_at_the_end(
    colour_terminal: Terminal, clock: HandClock, log: CapturingLogger
) -> None:
    with build_progress(colour_terminal, json_output=True, log=log, clock=clock) as progress:  # type: ignore[arg-type]
        start(progress)
        progress.cycle_finished(catalog="public", kind="backfill", outcome=COMPLETE)

    assert colour_terminal.getvalue().rstrip().endswith("\x1b[2K")


@pytest.mark.parametrize("terminal_kind", [None, "dumb"])
def test_without_a_capable_terminal_there_are_log_lines(
    monkeypatch: pytest.MonkeyPatch,
    clock: HandClock,
    log: CapturingLogger,
    terminal_kind: str | None,
) -> None:
    if terminal_kind:
        monkeypatch.setenv("TERM", terminal_kind)
    stream = Terminal() if terminal_kind else io.StringIO()

    with build_progress(stream, json_output=False, log=log, clock=clock) as progress:  # type: ignore[arg-type]
        assert isinstance(progress, LogProgress)

    assert stream.getvalue() == ""
