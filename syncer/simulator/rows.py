"""
One model as bytes: encoded once when it changes, finished cheaply for each answer.

Owns what differs between two answers about an unchanged model: signatures (UPSTREAM §3.4
calendar), live values, key order. Never decides which models an answer holds.
Invariant: ``content(row)`` is the same whatever was rendered in between.
Kind: pure.
"""

from __future__ import annotations

import base64
import calendar
import enum
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, permutations
from typing import Any

import msgspec

from syncer.simulator.instants import format_ms, to_ms
from syncer.simulator.options import HISTORY_END
from syncer.simulator.shelf import NOTHING, Excerpt, Shelf

# Bytes that JSON never holds unescaped stand where an answer puts a value of its own.
SIGN, NOW_TEXT, LIVE_NUMBER, NOW_MS = b"\x01", b"\x02", b"\x03", b"\x04"

LIVE_FIELDS = (
    "thumbnail",
    "epochs",
    "trainingImages",
    "trainingProgress",
    "parameters",
    "performanceStats",
)
"""Top-level fields that can hold something volatile; the rest of a row is fixed bytes."""

STABLE_NUMBER = b"1234"
"""What ``content`` shows for a live number: the oracle's value, never served."""

_SIGNABLE = re.compile(
    rb'"(https://(?:cdn\.cloud\.scenario\.com/assets|[a-z0-9-]+\.s3\.amazonaws\.com)/[^"?]+)"'
)
_CLOCK_TEXTS = re.compile(rb'"(computedAt|fetchedAt)":"[^"]*"')
_CLOCK_MS = re.compile(rb'("stage":[^}]*?"updatedAt":)\d+')
_LIVE_NUMBERS = re.compile(
    rb'"(votes|rank|rating|ratingLower|ratingUpper|\w+LatencyP\d+Sec)":[\d.]+'
)
_URL_SAFE = bytes.maketrans(b"+=/", b"-_~")
_ORDERS = 24
"""How many different key orders ``complianceMetadata`` is served in."""
_CUT_BYTES = 2
_SCATTER, _SCATTERED = 0x9E3779B97F4A7C15, 1 << 64
"""Neighbouring numbers times the odd one, modulo the power of two, have nothing in common."""

SHELVED = "exampleAssetIds"
"""The member that is most of a generated record, and is taken from a few thousand ids."""
_SHELVED_KEY = b'"exampleAssetIds":['


class RowKind(enum.Enum):
    """How the bytes of a row become an answer."""

    FIXED = enum.auto()
    """Served byte for byte."""
    SIGNED = enum.auto()
    """Signed as of the end of history, the same in every answer."""
    VOLATILE = enum.auto()
    """Signatures by the calendar, live values and the order of some keys by the answer."""
    RESTLESS = enum.auto()
    """Volatile, and each answer has signatures and an order of all keys of its own."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One encoded model."""

    text: bytes
    """The whole record, or all of it up to ``excerpt``."""
    excerpt: Excerpt = NOTHING
    """What follows ``text`` and is kept once for many models."""
    after: bytes = b""
    """What follows ``excerpt``; of a volatile row without the closing brace."""
    compliance: bytes = b""
    """``complianceMetadata`` as a JSON object, served with its keys in another order each time."""
    live: bytes = b""
    """The volatile fields with marks."""
    kind: RowKind = RowKind.FIXED
    cuts: bytes = b""
    """Of a restless row, where its fixed members begin, two bytes each."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What one answer fills into the volatile places of its rows."""

    now: datetime
    variant: int = 0
    original_assets: bool = False


STILL = Moment(HISTORY_END)
"""When everything is signed where nothing is volatile."""


def signing_deadline(at: datetime) -> int:
    """Epoch seconds at which a URL that is signed now expires.

    Source: UPSTREAM §3.4, the documented calendar.
    """
    last_day = calendar.monthrange(at.year, at.month)[1]
    midnight = at.replace(hour=23, minute=59, second=59, microsecond=0)
    for last_issue_day, expiry_day in ((7, 14), (14, 21), (21, last_day)):
        if at.day <= last_issue_day:
            return int(midnight.replace(day=expiry_day).timestamp())
    next_month = midnight.replace(day=last_day) + timedelta(days=7)
    return int(next_month.timestamp())


@lru_cache(maxsize=16)
def _deadline_on(day: date) -> int:
    return signing_deadline(datetime(day.year, day.month, day.day, tzinfo=UTC))


@lru_cache(maxsize=16_384)
def sign(url: bytes, deadline: int, *, original: bool) -> bytes:
    """The URL with the query that the source signs it with; equal within one signing window."""
    digest = hashlib.shake_256(url + str(deadline).encode()).digest(258)
    signature = base64.b64encode(digest).translate(_URL_SAFE)
    if b".amazonaws.com/" in url:
        return b"%b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=%d&X-Amz-Signature=%b" % (
            url,
            deadline,
            digest[:32].hex().encode(),
        )
    resource = url + (b"*" if original else b"?p=100*")
    policy = (
        b'{"Statement":[{"Resource":"%b","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}'
        % (resource, deadline)
    )
    return b"%b?%bPolicy=%b&Key-Pair-Id=KSIMULATEDPAIR&Signature=%b" % (
        url,
        b"" if original else b"p=100&",
        base64.b64encode(policy).translate(_URL_SAFE),
        signature,
    )


def encode_row(
    content: dict[str, Any],
    *,
    volatile: bool,
    restless: bool = False,
    shelf: Shelf | None = None,
) -> Row:
    """Encode a model once; everything that a later answer needs is in the row."""
    excerpt = NOTHING if shelf is None else shelf.find(content.get(SHELVED))
    if volatile:
        kind = RowKind.RESTLESS if restless else RowKind.VOLATILE
        return _encode_volatile(content, excerpt, kind)
    text = msgspec.json.encode(content)
    signed = _SIGNABLE.sub(b'"\\1\x01"', text)
    kind = RowKind.SIGNED if SIGN in signed else RowKind.FIXED
    before, excerpt, after = _cut_out(signed, excerpt)
    return Row(before, excerpt, after, kind=kind)


def raw_row(raw: bytes) -> Row:
    """A row that is served byte for byte, whether or not it is JSON."""
    return Row(raw)


def render(row: Row, moment: Moment, place: int = 0) -> bytes:
    """The row's JSON as this answer serves it, at this place of the answer."""
    text = _fixed_text(row)
    if row.kind is RowKind.FIXED:
        return text
    if row.kind is RowKind.SIGNED:
        return _sign_all(text, STILL)
    variant = moment.variant + place
    compliance = _ordered(row.compliance, variant % _ORDERS) if row.compliance else b""
    live = _finish(row.live, moment, variant, fresh=row.kind is RowKind.RESTLESS)
    if len(row.cuts) > _CUT_BYTES:
        return _turned(text, b"%b%b" % (compliance, live), row.cuts, variant)
    return b"%b%b%b}" % (text, compliance, live)


def content(row: Row) -> dict[str, Any]:
    """The model without what answers add: no signatures, one fixed value per live number.

    Empty for a raw row that holds no JSON object.
    """
    text = _fixed_text(row)
    if row.kind is RowKind.SIGNED:
        text = text.replace(SIGN, b"")
    elif row.kind is not RowKind.FIXED:
        tail = b',"complianceMetadata":' + row.compliance if row.compliance else b""
        live = row.live.replace(SIGN, b"").replace(NOW_TEXT, format_ms(to_ms(HISTORY_END)).encode())
        live = live.replace(LIVE_NUMBER, STABLE_NUMBER).replace(NOW_MS, b"0")
        text = b"%b%b%b}" % (text, tail, live)
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _fixed_text(row: Row) -> bytes:
    return row.text + row.excerpt.text + row.after if row.after else row.text


def _cut_out(text: bytes, excerpt: Excerpt) -> tuple[bytes, Excerpt, bytes]:
    """What stands before and after the shelved list, if it stands there as it does on the shelf."""
    if not excerpt.text:
        return text, NOTHING, b""
    before, _, after = text.partition(_SHELVED_KEY + excerpt.text + b"]")
    return (before + _SHELVED_KEY, excerpt, b"]" + after) if after else (text, NOTHING, b"")


def _encode_volatile(content: dict[str, Any], excerpt: Excerpt, kind: RowKind) -> Row:
    compliance = content.get("complianceMetadata")
    shuffled = {"complianceMetadata"} if isinstance(compliance, dict) and compliance else set()
    live = {name: content[name] for name in LIVE_FIELDS if content.get(name)}
    fixed = {
        name: value for name, value in content.items() if name not in shuffled and name not in live
    }
    if not fixed or not (shuffled or live):
        return Row(msgspec.json.encode(content))
    before, excerpt, after = _cut_out(msgspec.json.encode(fixed)[:-1], excerpt)
    return Row(
        before,
        excerpt,
        after,
        compliance=_shared(msgspec.json.encode(compliance)) if shuffled else b"",
        live=b"".join(_mark(name, value) for name, value in live.items()),
        kind=kind,
        cuts=_cuts(fixed) if kind is RowKind.RESTLESS else b"",
    )


def _cuts(fixed: dict[str, Any]) -> bytes:
    """Where each member begins in the encoded object, as far as two bytes count."""
    begins, at = [], 1
    for name, value in fixed.items():
        begins.append(at)
        at += len(msgspec.json.encode(name)) + len(msgspec.json.encode(value)) + 2
    return b"".join(at.to_bytes(_CUT_BYTES, "big") for at in begins if at < 1 << 8 * _CUT_BYTES)


def _turned(text: bytes, added: bytes, cuts: bytes, variant: int) -> bytes:
    """The members from one of them on, then what the answer adds, then the members before it."""
    chosen = _CUT_BYTES * (1 + variant % (len(cuts) // _CUT_BYTES - 1))
    at = int.from_bytes(cuts[chosen : chosen + _CUT_BYTES], "big")
    return b"{%b%b,%b}" % (text[at:], added, text[1 : at - 1])


def _mark(name: str, value: object) -> bytes:
    """One member with its marks; a number is live in the statistics only, not a LoRA's ``rank``."""
    text = _SIGNABLE.sub(b'"\\1\x01"', msgspec.json.encode(value))
    if name == "performanceStats":
        text = _LIVE_NUMBERS.sub(b'"\\1":\x03', _CLOCK_TEXTS.sub(b'"\\1":"\x02"', text))
    elif name == "trainingProgress":
        text = _CLOCK_MS.sub(b"\\g<1>\x04", text)
    return b',"%b":%b' % (name.encode(), text)


def _finish(text: bytes, moment: Moment, variant: int, *, fresh: bool) -> bytes:
    if not text:
        return text
    if SIGN in text:
        text = _sign_all(text, moment, variant if fresh else None)
    if NOW_TEXT in text or NOW_MS in text or LIVE_NUMBER in text:
        now_ms = to_ms(moment.now)
        text = text.replace(NOW_TEXT, format_ms(now_ms).encode())
        text = text.replace(NOW_MS, str(now_ms).encode())
        text = text.replace(LIVE_NUMBER, str(1 + variant % 997).encode())
    return text


def _sign_all(text: bytes, moment: Moment, fresh: int | None = None) -> bytes:
    """Every marked URL signed; ``fresh`` makes the signatures those of one answer and place."""
    if SIGN not in text:
        return text
    deadline = _deadline_on(moment.now.date())
    original = moment.original_assets
    # A suffix will do: what was signed anew differs somewhere, and long signatures stay long.
    mark = b"" if fresh is None else b"%032x" % (fresh * _SCATTER % _SCATTERED)
    *pieces, rest = text.split(SIGN)
    signed: list[bytes] = []
    for piece in pieces:
        begin = piece.rindex(b'"') + 1
        url = sign(piece[begin:], deadline, original=original)
        signed += (piece[:begin], url[: len(url) - len(mark)], mark)
    return b"".join((*signed, rest))


@lru_cache(maxsize=4096)
def _shared(text: bytes) -> bytes:
    """One object for equal bytes: a large catalog repeats a few dozen of them."""
    return text


@lru_cache(maxsize=16_384)
def _ordered(compliance: bytes, order: int) -> bytes:
    fields = list(msgspec.json.decode(compliance).items())
    orders = list(islice(permutations(fields), 720))
    # Steps through the permutations so that neighbours in a page differ at the front, too.
    chosen = orders[(order * 149) % len(orders)]
    return b',"complianceMetadata":' + msgspec.json.encode(dict(chosen))
