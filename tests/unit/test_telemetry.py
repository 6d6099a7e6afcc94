"""Every line passes one pipeline: named, stamped, redacted, and one line of JSON off a terminal."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from syncer import telemetry
from syncer.api.normalise import redact_text
from syncer.errors import ConfigError, SourceUnavailable, StoreUnavailable
from syncer.telemetry import Event, Redactor, bound, configure_logging, logger
from syncer.telemetry.repeats import MOST_KNOWN, Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "hunter2-hunter2"
SIGNED = (
    "https://cdn.example/assets/asset_1?p=100&Policy=eyJTdGF0ZW1lbnQi&Key-Pair-Id=K2ABC"
    "&Signature=abcdefghijklmnop~-_"
)
TEN = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)


@dataclass
class StoppedClock:
    """It is always ten."""

    at: datetime = TEN

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError(delay_s)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


@dataclass
class Log:
    """What was written."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    def configure(self, **changes: object) -> Log:
        wanted: dict[str, object] = {
            "level": "info",
            "format": "json",
            "stream": self.stream,
            "redact": redact_text,
            "clock": StoppedClock(),
            "secrets": [PASSWORD],
        }
        configure_logging(**(wanted | changes))  # type: ignore[arg-type]
        return self

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def line(self) -> dict[str, object]:
        [line] = self.lines
        return line


@pytest.fixture(name="log")
def log_fixture() -> Iterator[Log]:
    """A configured pipeline, taken down afterwards so that no test hears another."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield Log().configure()
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_time_level_event_and_context(log: Log) -> None:
    logger(catalog="public").info(Event.WALK_CHOSEN, estimated_models=700)

    assert log.text.count("\n") == 1
    assert log.line == {
        "timestamp": "2026-11-23T10:00:00.123Z",
        "level": "info",
        "event": "walk_chosen",
        "catalog": "public",
        "estimated_models": 700,
    }


def test_event_names_are_their_constants_in_lower_case_verb_last() -> None:
    for event in Event:
        assert event.value == event.name.lower()
        noun, _, verb = event.value.rpartition("_")
        assert noun
        assert verb.endswith(
            ("ed", "lost", "forgotten", "chosen", "rewound", "taken", "unavailable")
        )


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
        ("critical", []),
    ],
)
def test_lines_below_the_level_are_not_written(log: Log, level: str, heard: list[str]) -> None:
    log.configure(level=level)

    for name in ("debug", "info", "warning", "error"):
        getattr(logger(), name)(Event.PAGE_COMMITTED)

    assert [line["level"] for line in log.lines] == heard


def test_auto_is_console_on_a_terminal_and_json_elsewhere(log: Log) -> None:
    log.configure(format="auto")
    logger().info(Event.WALK_CHOSEN)
    assert log.line["event"] == "walk_chosen"

    log.configure(format="auto", stream=(terminal := Terminal()))
    logger().info(Event.WALK_CHOSEN, catalog="public")

    assert "walk_chosen" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_console_off_a_terminal_has_no_colours(log: Log) -> None:
    log.configure(format="console")
    logger().info(Event.WALK_CHOSEN, catalog="public")

    assert "\x1b[" not in log.text
    assert "catalog=public" in log.text


@pytest.mark.parametrize("wrong", [{"level": "loud"}, {"format": "xml"}])
def test_an_unknown_level_or_format_is_a_configuration_error(
    log: Log, wrong: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=r"^log\.(level|format) is '(loud|xml)'"):
        log.configure(**wrong)


def test_loggers_bound_before_a_reload_follow_the_new_settings(log: Log) -> None:
    """SIGHUP changes level and secrets; the engine's loggers were bound at the start."""
    bound = logger(catalog="public")
    bound.info(Event.WALK_CHOSEN)

    log.configure(level="debug", secrets=["the-new-secret"])
    bound.debug(Event.PAGE_COMMITTED, note="the-new-secret")

    assert log.lines[1]["event"] == "page_committed"
    assert log.lines[1]["note"] == "[redacted]"


def test_a_secret_that_was_rotated_is_hidden_from_the_next_line_on(log: Log) -> None:
    current = ["jwt-one"]
    log.configure(secrets=lambda: tuple(current))
    logger().info(Event.WALK_CHOSEN, note="jwt-one")
    current[:] = ["jwt-two"]
    logger().info(Event.WALK_CHOSEN, note="jwt-two")

    assert [line["note"] for line in log.lines] == ["[redacted]", "[redacted]"]


PLACES: list[Callable[[str], object]] = [
    lambda secret: secret,
    lambda secret: f"postgresql://u:{secret}@h/db",
    lambda secret: [{"deep": (secret, {secret: 1})}],
    lambda secret: {secret},
    lambda secret: Path(f"/{secret}"),
    lambda secret: SourceUnavailable(f"{secret} was refused"),
    lambda secret: {secret.encode(): [secret]},
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", ["json", "console"])
def test_p10_known_secrets_reach_no_line_wherever_they_hide(
    log: Log, place: Callable[[str], object], form: str
) -> None:
    log.configure(format=form)
    logger(context=place(PASSWORD)).info(PASSWORD, value=place(PASSWORD), **{PASSWORD: 1})

    assert log.text
    assert PASSWORD not in log.text


@pytest.mark.parametrize("secret", ['qu"ote\\back', "p@ss/w:rd ü", "9123456789"])
def test_p10_a_secret_is_found_as_urls_and_json_spell_it(log: Log, secret: str) -> None:
    log.configure(secrets=[secret])
    logger().info(
        Event.WALK_CHOSEN,
        url=f"postgresql://h/db?password={quote(secret, safe='')}",
        body=json.dumps({"key": secret}),
        number=int(secret) if secret.isdigit() else 0,
    )

    assert secret not in log.text
    assert quote(secret, safe="") not in log.text
    assert json.dumps(secret)[1:-1] not in log.text
    assert "9123456789" not in log.text


def test_p10_signatures_wandb_keys_and_authorization_are_cut_by_their_form(log: Log) -> None:
    """Nobody told us these values; they give themselves away."""
    logger().warning(
        Event.MODEL_QUARANTINED,
        url=SIGNED,
        raw='{"parameters": {"wandbKey": "0badc0de0badc0de"}}',
        header="Authorization: Basic c3ludGg6a2V5cGFpcg==",
        deep={"wandbKey": "feedfacefeedface", "Authorization": "raw-value"},
    )

    for secret in (
        "abcdefghijklmnop",
        "eyJTdGF0ZW1lbnQi",
        "0badc0de",
        "c3ludGg6",
        "feedface",
        "raw-value",
    ):
        assert secret not in log.text
    assert "cdn.example/assets/asset_1" in log.text


def test_p10_a_traceback_is_redacted_along_the_whole_chain(log: Log) -> None:
    def connect() -> None:
        try:
            raise ValueError(f"cannot use {PASSWORD}")  # noqa: TRY301 - the cause
        except ValueError as error:
            raise RuntimeError(f"bug near {SIGNED}") from error

    try:
        connect()
    except RuntimeError:
        logger().exception(Event.CYCLE_FAILED)

    assert PASSWORD not in log.text
    assert "abcdefghijklmnop" not in log.text
    assert "cannot use [redacted]" in str(log.line["exception"])
    assert log.line["level"] == "error"


async def test_what_is_bound_is_in_each_line_of_the_task_and_of_those_it_starts(log: Log) -> None:
    """And in no other: two cycles are under way at once."""

    async def say(wait: asyncio.Event, done: asyncio.Event) -> None:
        await wait.wait()
        logger().info(Event.PAGE_COMMITTED)
        done.set()

    async def cycle(name: str, wait: asyncio.Event, done: asyncio.Event) -> None:
        with bound(catalog="public", cycle=name):
            async with asyncio.TaskGroup() as group:
                group.create_task(say(wait, done))
        logger().info(Event.CYCLE_FINISHED)

    first, second, third = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(cycle("public-1-1", second, third))
        group.create_task(cycle("public-1-2", first, second))
        first.set()

    lines = [json.loads(line) for line in log.stream.getvalue().splitlines()]
    pages = [line for line in lines if line["event"] == "page_committed"]
    assert [line["cycle"] for line in pages] == ["public-1-2", "public-1-1"]
    assert all("cycle" not in line for line in lines if line["event"] == "cycle_finished")


def test_what_a_line_is_of_stands_in_front(log: Log) -> None:
    with bound(kind="delta", cycle="public-1-1"):
        logger(epoch=1, catalog="public").info(Event.PARTITION_FINISHED, pages=2, partition="all")

    assert [*log.line] == (
        ["timestamp", "level", "event", "catalog", "cycle", "kind", "partition", "epoch", "pages"]
    )


def test_an_expected_error_is_one_line_with_its_hint_and_no_traceback(log: Log) -> None:
    error = SourceUnavailable("the source\n answered 503", hint="Wait.", status=503, catalog="x")
    logger(catalog="public").warning(Event.PARTITION_FAILED, exc_info=error)

    assert log.line == {
        "timestamp": "2026-11-23T10:00:00.123Z",
        "level": "warning",
        "event": "partition_failed",
        "catalog": "public",
        "error": "the source answered 503",
        "error_type": "SourceUnavailable",
        "hint": "Wait.",
        "status": 503,
    }


def test_a_bug_carries_its_traceback(log: Log) -> None:
    try:
        raise KeyError("x")  # noqa: TRY301 - the bug
    except KeyError:
        logger().error(Event.CYCLE_FAILED, exc_info=True)

    assert log.line["error_type"] == "KeyError"
    assert "test_a_bug_carries_its_traceback" in str(log.line["exception"])
    assert "hint" not in log.line


def test_a_group_of_expected_errors_is_still_one_line(log: Log) -> None:
    group = ExceptionGroup(
        "unhandled errors in a TaskGroup",
        [StoreUnavailable("gone", hint="A."), ExceptionGroup("", [SourceUnavailable("away")])],
    )
    logger().error(Event.CYCLE_FAILED, exc_info=group)

    assert log.line["error"] == "gone; away"
    assert log.line["error_type"] == "StoreUnavailable, SourceUnavailable"
    assert "exception" not in log.line


def test_a_group_with_a_bug_in_it_shows_the_traceback(log: Log) -> None:
    group = ExceptionGroup("both", [StoreUnavailable("gone"), ValueError("bug")])
    logger().error(Event.CYCLE_FAILED, exc_info=group)

    assert log.line["error"] == "gone; bug"
    assert "ValueError: bug" in str(log.line["exception"])


def test_exc_info_outside_an_exception_adds_nothing(log: Log) -> None:
    logger().error(Event.CYCLE_FAILED, exc_info=True)

    assert set(log.line) == {"timestamp", "level", "event"}


@pytest.mark.parametrize("library", ["aiohttp.server", "asyncpg.pool", "asyncio"])
def test_library_warnings_take_the_same_way_and_their_chatter_is_dropped(
    log: Log, library: str
) -> None:
    logging.getLogger(library).info("chatter")
    logging.getLogger(library).warning("slow: %s", PASSWORD)

    assert log.line == {
        "timestamp": "2026-11-23T10:00:00.123Z",
        "level": "warning",
        "event": "library_reported",
        "logger": library,
        "message": "slow: [redacted]",
    }


def test_a_library_that_says_the_same_again_and_again_is_written_ever_more_seldom(
    log: Log,
) -> None:
    for number in range(1000):
        logging.getLogger("asyncio").error("too many open files: %d", number)
    logging.getLogger("asyncio").error("something else")

    told = [(line["message"], line.get("times")) for line in log.lines]
    assert told[:3] == [
        ("too many open files: 0", None),
        ("too many open files: 1", 2),
        ("too many open files: 3", 4),
    ]
    assert len(told) == 11
    assert told[-1] == ("something else", None)


def test_what_a_library_says_after_a_quiet_minute_is_news() -> None:
    repeats = Repeats()

    def counted(at_s: float) -> int | None:
        record = logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, "again", (), None)
        record.created = at_s
        return repeats.count(record)

    assert [counted(at_s) for at_s in (0, 30, 60, 121, 150)] == [1, 2, None, 1, 2]


def test_of_many_different_lines_the_oldest_is_forgotten() -> None:
    repeats = Repeats()
    for number in range(MOST_KNOWN + 1):
        record = logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, str(number), (), None)
        assert repeats.count(record) == 1
    again = logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, "0", (), None)

    assert repeats.count(again) == 1


def test_a_library_traceback_is_redacted_too(log: Log) -> None:
    try:
        raise OSError(f"connect {PASSWORD}")  # noqa: TRY301 - the library's
    except OSError:
        logging.getLogger("asyncio").exception("task failed")

    assert PASSWORD not in log.text
    assert log.line["level"] == "error"
    assert "OSError: connect [redacted]" in str(log.line["exception"])


def test_a_library_line_with_wrong_arguments_is_written_without_them(log: Log) -> None:
    record = logging.LogRecord("asyncio", logging.WARNING, "x.py", 1, "%d of them", ("x",), None)
    [ours] = [
        each
        for each in logging.getLogger().handlers
        if type(each).__module__ == "syncer.telemetry.pipeline"
    ]
    ours.handle(record)

    assert log.line["message"] == "%d of them"


def test_a_library_level_of_its_own_is_written_as_a_warning(log: Log) -> None:
    logging.getLogger("asyncio").log(35, "odd")

    assert log.line["level"] == "warning"


def test_configuring_twice_does_not_write_library_lines_twice(log: Log) -> None:
    log.configure()
    logging.getLogger("asyncio").warning("once")

    assert len(log.lines) == 1


def test_a_reader_that_went_away_does_not_stop_the_work(log: Log) -> None:
    log.configure(stream=BrokenPipe())
    logger().info(Event.WALK_CHOSEN)

    closed = io.StringIO()
    log.configure(stream=closed)
    closed.close()
    logger().info(Event.WALK_CHOSEN)


def test_lines_for_stderr_follow_whoever_stands_in_for_it(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A progress bar takes the place of sys.stderr, so that lines appear above it."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log.configure(stream=sys.stderr)
    monkeypatch.setattr(sys, "stderr", stand_in := io.StringIO())
    logger().info(Event.WALK_CHOSEN)

    assert "walk_chosen" in stand_in.getvalue()


def test_an_endless_value_is_cut_after_redaction(log: Log) -> None:
    edge = telemetry.MAX_TEXT_CHARS - len(PASSWORD) // 2
    logger().info(Event.WALK_CHOSEN, value="x" * edge + PASSWORD + "y" * 100)

    value = str(log.line["value"])
    assert PASSWORD[:4] not in value
    assert value.endswith(" more characters)")
    assert len(value) < telemetry.MAX_TEXT_CHARS + 40


def test_values_json_has_no_word_for_are_written_as_text(log: Log) -> None:
    logger().info(
        Event.WALK_CHOSEN,
        at=TEN,
        day=TEN.date(),
        nan=math.nan,
        raw=b"\x00secret",
        none=None,
        yes=True,
        lone="\ud800",
    )

    assert log.line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "walk_chosen",
        "at": "2026-11-23T10:00:00.123Z",
        "day": "2026-11-23",
        "nan": "nan",
        "raw": "7 bytes",
        "none": None,
        "yes": True,
        "lone": "\ud800",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(value=JSON, before=st.text(), after=st.text())
def test_p10_no_value_of_any_shape_keeps_the_secret(value: object, before: str, after: str) -> None:
    redactor = Redactor(secrets=[PASSWORD], redact=lambda text: text)
    event = {"event": before + PASSWORD + after, "value": [value, {before + PASSWORD: value}]}

    cleaned = json.dumps(redactor(None, "info", event), ensure_ascii=False, allow_nan=False)

    assert PASSWORD not in cleaned


def test_importing_telemetry_loads_nothing_that_help_would_wait_for() -> None:
    script = (
        "import sys, syncer.telemetry, syncer.progress;"
        "print([name for name in ('structlog', 'rich', 'asyncio', 'aiohttp', 'asyncpg')"
        " if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"
