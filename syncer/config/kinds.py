"""
What a value may be: one ``Kind`` per sort of key, for the file and the environment alike.

Owns type checks, ranges and the wording of what is expected. Never knows which key it reads.
Invariant: environment text is first turned into the value that TOML would have given and then
takes the same path, so that a value means the same wherever it is written.
Kind: pure.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from syncer.config.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)

YEAR_S = 365 * 24 * 3600
_SURROGATES = range(0xD800, 0xE000)
_TYPE_NAMES = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "a table",
}


class BadValueError(ValueError):
    """A value that its key cannot take.

    ``str()`` of it continues the sentence "expected …, ": why this value is not that.
    """

    def __init__(self, why: str = "", *, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How a key's value is checked, and what to call it in messages and in the example file."""

    expects: str
    accept: Callable[[object], T]
    """The checked value of what TOML gave; raises ``BadValueError``."""
    read_text: Callable[[str], object] = str
    """What TOML would have given for this environment text; raises ``BadValueError``."""


def _wrong_type(value: object) -> BadValueError:
    return BadValueError(f"but it is {_TYPE_NAMES.get(type(value), 'a date or time')}")


def text(expects: str, check: Callable[[str], str] | None = None) -> Kind[str]:
    """Text without control characters; ``check`` normalises it or raises ``BadValueError``."""

    def accept(value: object) -> str:
        plain = _plain(value)
        return check(plain) if check else plain

    return Kind(expects, accept)


def optional_text(expects: str) -> Kind[str | None]:
    """As ``text``; the empty text means that the key is not set."""
    return Kind(expects, lambda value: _plain(value) or None)


def _plain(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(value)
    if any(ord(char) < ord(" ") or char == "\x7f" or ord(char) in _SURROGATES for char in value):
        raise BadValueError("but it contains a control character or bytes that are not UTF-8")
    return value


def one_of(*choices: str, refused: Mapping[str, str] | None = None) -> Kind[str]:
    """One of a few words; ``refused`` names words that people try, each with the reason."""

    def check(value: str) -> str:
        if value in choices:
            return value
        if refused and value in refused:
            raise BadValueError(f"not '{value}'", remedy=refused[value])
        raise BadValueError(remedy=did_you_mean(value.lower(), choices))

    return text(" | ".join(choices), check)


def optional_one_of(*choices: str, refused: Mapping[str, str]) -> Kind[str | None]:
    """As ``one_of``; the empty text means that the key is not set."""
    inner = one_of(*choices, refused=refused)
    return Kind(inner.expects, lambda value: None if value == "" else inner.accept(value))


def member(choices: type[E]) -> Kind[E]:
    """One of an enum's values."""
    inner = one_of(*(choice.value for choice in choices))
    return Kind(inner.expects, lambda value: choices(inner.accept(value)))


def integer(low: int, high: int, unit: str) -> Kind[int]:
    """A whole number between two bounds, both included."""

    def accept(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value)
        if not low <= value <= high:
            raise BadValueError
        return value

    def read_text(written: str) -> object:
        try:
            return int(written)
        except ValueError:
            raise BadValueError("but it is not a whole number") from None

    return Kind(f"{low} to {high} {unit}", accept, read_text)


def number(low: float, high: float, expects: str, *, above: bool = False) -> Kind[float]:
    """A number between two bounds, both included (``above``: the lower one excluded)."""

    def accept(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value)
        if not low <= value <= high or (above and value == low):
            raise BadValueError
        return float(value)

    def read_text(written: str) -> object:
        try:
            return float(written)
        except ValueError:
            raise BadValueError("but it is not a number") from None

    return Kind(expects, accept, read_text)


def positive_seconds() -> Kind[float]:
    """A time span that must not be nothing."""
    return number(0, YEAR_S, "seconds, more than 0", above=True)


def seconds_or_zero() -> Kind[float]:
    """A time span that may be nothing."""
    return number(0, YEAR_S, "seconds, 0 or more")


def flag() -> Kind[bool]:
    """True or false; in the environment also 1 or 0."""
    words = {"true": True, "1": True, "false": False, "0": False}

    def accept(value: object) -> bool:
        if not isinstance(value, bool):
            raise _wrong_type(value)
        return value

    def read_text(written: str) -> object:
        if written.strip().lower() not in words:
            raise BadValueError
        return words[written.strip().lower()]

    return Kind("true | false", accept, read_text)


def names(what: str) -> Kind[tuple[str, ...]]:
    """A list of names that travel to the source in one comma-separated parameter."""

    def accept(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise _wrong_type(value)
        items = tuple(_list_item(item) for item in value)
        twice = next((item for item in items if items.count(item) > 1), None)
        if twice is not None:
            raise BadValueError(f"but '{twice}' stands in it twice", remedy="Write it once.")
        return items

    def read_text(written: str) -> object:
        try:
            return json.loads(written)
        except ValueError:
            raise BadValueError(
                "but it is not JSON",
                remedy="""In the environment a list is JSON, for example '["one", "two"]'.""",
            ) from None

    return Kind(f"list of {what}", accept, read_text)


def _list_item(value: object) -> str:
    try:
        item = _plain(value)
    except BadValueError as error:
        raise BadValueError(f"{error} in one place") from None
    if not item.strip():
        raise BadValueError(
            "but one item is empty", remedy="Remove it; an empty list is written []."
        )
    if "," in item:
        raise BadValueError(
            f"but '{item}' contains a comma, and the source separates names by commas",
            remedy="Write each name as an item of its own; none may contain a comma.",
        )
    return item


def directory() -> Kind[Path]:
    """An absolute directory; empty (``Path()``) leaves the choice to the platform."""

    def accept(value: object) -> Path:
        plain = _plain(value)
        if not plain:
            return Path()
        try:
            path = Path(plain).expanduser()
        except RuntimeError:
            raise BadValueError("but the home directory it names is not known") from None
        if not path.is_absolute():
            raise BadValueError("but it depends on where the command is started")
        return path

    return Kind("absolute directory, ~ allowed", accept)
