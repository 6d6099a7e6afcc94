"""Every error has a verdict, an exit code and a next step, as drawn in its module."""

from __future__ import annotations

import re

import pytest

from syncer import errors
from syncer.errors import (
    ConfigError,
    ExitCode,
    Interrupted,
    SourceThrottled,
    SourceUnavailable,
    Stopped,
    StoreError,
    SyncerError,
    Verdict,
)


def tree(root: type[SyncerError] = SyncerError) -> list[type[SyncerError]]:
    return [root, *(each for child in root.__subclasses__() for each in tree(child))]


ALL = [each for each in tree() if each.__module__ == errors.__name__]
DRAWN = {
    name: (verdict.strip(), int(code))
    for name, verdict, code in re.findall(
        r"[├└]─ (\w+) +([a-z ]+?) +exit (\d+)", errors.__doc__ or ""
    )
}
VERDICTS = {"back off": "back_off"}
GROUPS = {"SyncerError", "SourceError", "StoreError"}


def test_the_drawing_names_every_class_that_is_raised() -> None:
    assert {each.__name__ for each in ALL} - GROUPS == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_verdict_and_exit_code_are_as_drawn(name: str) -> None:
    kind, (verdict, code) = getattr(errors, name), DRAWN[name]

    assert kind.verdict is Verdict(VERDICTS.get(verdict, verdict))
    assert kind.exit_code is ExitCode(code)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_in_lower_case_what_happened(kind: type[SyncerError]) -> None:
    message = kind().message

    assert message
    assert not message.endswith((".", "!"))
    assert message[0].islower() or message.split()[0].isupper() or message.startswith("PostgreSQL")
    assert str(kind()).startswith(message)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_every_error_says_what_to_do_next(name: str) -> None:
    assert getattr(errors, name)().hint.endswith(".")


def test_the_message_is_followed_by_the_hint() -> None:
    error = SourceUnavailable("the source took 61 s, the limit is 60 s", hint="Try later.")

    assert str(error) == "the source took 61 s, the limit is 60 s. Try later."
    assert error.args == (error.message,)


def test_without_a_hint_the_message_stands_alone() -> None:
    assert str(StoreError("two pages met")) == "two pages met"


def test_the_context_keeps_what_is_known() -> None:
    assert ConfigError("bad", key="source.page_size", line=None).context == {
        "key": "source.page_size"
    }


def test_a_throttled_request_knows_when_to_come_back() -> None:
    assert SourceThrottled(retry_after_s=1.5, status=429).retry_after_s == 1.5
    assert SourceThrottled().retry_after_s is None


def test_an_interrupt_is_a_stop_with_a_code_of_its_own() -> None:
    assert isinstance(Interrupted(), Stopped)
    assert (Stopped.exit_code, Interrupted.exit_code) == (143, 130)
