r"""
JSON as text: what is done to an answer that the fast decoder refuses as a whole.

Owns cutting objects and arrays into raw slices, exact numbers, and a lenient reader. Never judges
what a record means.
Why it exists: msgspec refuses a whole page for one ``"\ud800"`` or one record nested too deep. One
bad record must not cost the page (P9), so here the page is cut by its brackets, without recursion.
Invariant: a slice is exactly the bytes between two separators; nothing is repaired.
Kind: pure.
"""

from __future__ import annotations

import codecs
import json
import re
from decimal import Decimal, InvalidOperation

MAX_DEPTH = 500
"""Levels of nesting; half of the interpreter's recursion limit, a twelfth of PostgreSQL's."""

_SLICE_BYTES = 65_536

_SPACE = b" \t\r\n"
_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb'("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:(.*)', re.DOTALL)
_PARTNER = {ord("["): ord("]"), ord("{"): ord("}")}
_COMMA = ord(",")

# PostgreSQL's numeric, tried on 18.4: it stores 1e131071 and 1e-16383, not 1e131072 and 1e-16384.
_MAX_LEADING_EXPONENT = 131_071
_MAX_FRACTION_DIGITS = 16_383
_MAX_ZERO_EXPONENT = 1_000_000_000
_SHORT_NUMBER = 64
# Python refuses to convert longer integers (sys.int_info.default_max_str_digits is 4300).
_MAX_INT_DIGITS = 4_000

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TYPE_NAMES: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    int: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}


class ExactNumber(Decimal):
    """A number as it was written, digit by digit; encoders ask what to make of it."""

    __slots__ = ()


_NOT_A_NUMBER = ExactNumber("NaN")


class NotJsonError(ValueError):
    """The text is not JSON, not even leniently read. Never leaves ``syncer.api``."""


def refuse_other_than_utf8(text: bytes) -> None:
    """Raise ``NotJsonError`` for bytes in any other encoding, wherever they stand."""
    check = codecs.getincrementaldecoder("utf-8")().decode
    view = memoryview(text)
    try:
        # In slices: as a whole the text would be in memory again, up to four times as large.
        for begin in range(0, len(view), _SLICE_BYTES):
            check(view[begin : begin + _SLICE_BYTES])
        check(b"", final=True)
    except UnicodeDecodeError as error:
        raise NotJsonError("it is not UTF-8") from error


def split_object(text: bytes) -> dict[str, bytes]:
    """Cut an object into its members, values as raw text; of a repeated key the last counts."""
    members = {}
    for item in _split(text, b"{"):
        member = _MEMBER.fullmatch(item)
        if member is None:
            raise NotJsonError("a member has no name")
        members[str(read(member[1]))] = member[2].strip(_SPACE)
    return members


def split_array(text: bytes) -> list[bytes]:
    """Cut an array into its elements, as raw text."""
    return _split(text, b"[")


def refuse_too_deep(text: bytes) -> None:
    """Raise ``RecursionError`` where nesting exceeds ``MAX_DEPTH``, before a reader meets it."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRUCTURE.finditer(text):
        mark = text[token.start()]
        if mark in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise RecursionError(f"nested more than {MAX_DEPTH} levels deep")
        elif mark in b"]}":
            depth -= 1


def peek(text: bytes) -> object:
    """A scalar's value; of an object or array only the kind, for it may be nested too deep."""
    if text.startswith(b"{"):
        return {}
    return [] if text.startswith(b"[") else read(text)


def type_name(value: object) -> str:
    """What JSON calls the type of a decoded value, with its article."""
    return "a number" if isinstance(value, ExactNumber) else _TYPE_NAMES[type(value)]


def find_text_fault(text: str) -> str | None:
    """Why PostgreSQL cannot store the text, as the end of a sentence; ``None`` when it can."""
    if "\0" in text:
        return "holds a NUL character, which PostgreSQL cannot store"
    if not text.isascii() and _SURROGATE.search(text):
        return "holds a lone surrogate, which PostgreSQL cannot store"
    return None


def read(text: bytes) -> object:
    """Read one value, accepting what other writers let slip: lone surrogates, control characters.

    A number that PostgreSQL cannot hold, ``NaN`` and ``Infinity`` read as NaN. The
    caller has made sure that the text is not too deep.

    Raises:
        NotJsonError: even a lenient reader finds no value, or more than one.
    """
    try:
        value: object = json.loads(
            text.decode(),
            strict=False,
            parse_int=_read_integer,
            parse_float=_read_number,
            parse_constant=_read_constant,
        )
    except UnicodeDecodeError as error:
        raise NotJsonError("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise NotJsonError(
            f"it is not JSON, {error.msg.lower()} at character {error.pos}"
        ) from error
    return value


def exact_number(text: str) -> ExactNumber:
    """Read a number without losing a digit.

    Raises:
        ValueError: PostgreSQL's ``numeric`` cannot hold it.
    """
    try:
        number = ExactNumber(text)
    except InvalidOperation as error:
        raise ValueError("the exponent is out of range") from error
    if len(text) < _SHORT_NUMBER and "e" not in text and "E" not in text:
        return number
    exponent = number.as_tuple().exponent
    limit = _MAX_LEADING_EXPONENT if number else _MAX_ZERO_EXPONENT
    if not isinstance(exponent, int) or exponent < -_MAX_FRACTION_DIGITS:
        raise ValueError("the number has too many digits after the point")
    if number.adjusted() > limit:
        raise ValueError("the number has too many digits before the point")
    return number


def _read_integer(text: str) -> int | ExactNumber:
    return int(text) if len(text) <= _MAX_INT_DIGITS else _read_number(text)


def _read_number(text: str) -> ExactNumber:
    try:
        return exact_number(text)
    except ValueError:
        return _NOT_A_NUMBER


def _read_constant(_name: str) -> ExactNumber:
    return _NOT_A_NUMBER


def _split(text: bytes, opening: bytes) -> list[bytes]:
    text = text.strip(_SPACE)
    if not text.startswith(opening):
        raise NotJsonError(f"it does not begin with {opening.decode()}")
    items = [item.strip(_SPACE) for item in _split_items(text)]
    if items == [b""]:
        return []
    if b"" in items:
        raise NotJsonError("there is nothing between two separators")
    return items


def _split_items(text: bytes) -> list[bytes]:
    items: list[bytes] = []
    begin = 1
    open_brackets = bytearray()
    for token in _STRUCTURE.finditer(text):
        mark = text[token.start()]
        if mark in _PARTNER:
            open_brackets.append(mark)
        elif mark in b"]}":
            if mark != _PARTNER[open_brackets.pop()]:
                raise NotJsonError("its brackets do not match")
            if not open_brackets:
                if token.end() != len(text):
                    raise NotJsonError("it goes on after its end")
                return [*items, text[begin : token.start()]]
        elif mark == _COMMA and len(open_brackets) == 1:
            items.append(text[begin : token.start()])
            begin = token.end()
    raise NotJsonError("it breaks off before its end")
