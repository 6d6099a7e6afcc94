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
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, permutations
from typing import Any

import msgspec

from syncer.simulator.instants import format_ms, to_ms
from syncer.simulator.options import HISTORY_END

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
_MARKED = re.compile(rb'(https://[^"\x01]+)\x01')
_CLOCK_TEXTS = re.compile(rb'"(computedAt|fetchedAt)":"[^"]*"')
_CLOCK_MS = re.compile(rb'("stage":[^}]*?"updatedAt":)\d+')
_LIVE_NUMBERS = re.compile(
    rb'"(votes|rank|rating|ratingLower|ratingUpper|\w+LatencyP\d+Sec)":[\d.]+'
)
_URL_SAFE = bytes.maketrans(b"+=/", b"-_~")
_ORDERS = 24
"""How many different key orders ``complianceMetadata`` is served in."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One encoded model."""

    text: bytes
    """The whole record, or all of it up to the volatile part, without the closing brace."""
    compliance: bytes = b""
    """``complianceMetadata`` as a JSON object, served with its keys in another order each time."""
    live: bytes = b""
    """The volatile fields with marks; of a finished row that is signed, the unsigned text."""
    finished: bool = True
    """``text`` is the whole record, served byte for byte."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What one answer fills into the volatile places of its rows."""

    now: datetime
    variant: int = 0
    original_assets: bool = False


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


def encode_row(content: dict[str, Any], *, volatile: bool) -> Row:
    """Encode a model once; everything that a later answer needs is in the row."""
    if volatile:
        return _encode_volatile(content)
    text = msgspec.json.encode(content)
    signed = _SIGNABLE.sub(b'"\\1\x01"', text)
    if SIGN not in signed:
        return Row(text)
    return Row(_finish(signed, Moment(HISTORY_END)), live=text)


def raw_row(raw: bytes) -> Row:
    """A row that is served byte for byte, whether or not it is JSON."""
    return Row(raw)


def render(row: Row, moment: Moment) -> bytes:
    """The row's JSON as this answer serves it."""
    if row.finished:
        return row.text
    compliance = _ordered(row.compliance, moment.variant % _ORDERS) if row.compliance else b""
    live = _finish(row.live, moment) if row.live else b""
    return b"%b%b%b}" % (row.text, compliance, live)


def content(row: Row) -> dict[str, Any]:
    """The model without what answers add: no signatures, one fixed value per live number.

    Empty for a raw row that holds no JSON object.
    """
    if row.finished:
        text = row.live or row.text
    else:
        tail = b',"complianceMetadata":' + row.compliance if row.compliance else b""
        live = row.live.replace(SIGN, b"").replace(NOW_TEXT, format_ms(to_ms(HISTORY_END)).encode())
        live = live.replace(LIVE_NUMBER, STABLE_NUMBER).replace(NOW_MS, b"0")
        text = b"%b%b%b}" % (row.text, tail, live)
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _encode_volatile(content: dict[str, Any]) -> Row:
    compliance = content.get("complianceMetadata")
    shuffled = {"complianceMetadata"} if isinstance(compliance, dict) and compliance else set()
    live = {name: content[name] for name in LIVE_FIELDS if content.get(name)}
    fixed = {
        name: value for name, value in content.items() if name not in shuffled and name not in live
    }
    if not fixed or not (shuffled or live):
        return Row(msgspec.json.encode(content))
    return Row(
        msgspec.json.encode(fixed)[:-1],
        _shared(msgspec.json.encode(compliance)) if shuffled else b"",
        b"".join(_mark(name, value) for name, value in live.items()),
        finished=False,
    )


def _mark(name: str, value: object) -> bytes:
    """One member with its marks; a number is live in the statistics only, not a LoRA's ``rank``."""
    text = _SIGNABLE.sub(b'"\\1\x01"', msgspec.json.encode(value))
    if name == "performanceStats":
        text = _LIVE_NUMBERS.sub(b'"\\1":\x03', _CLOCK_TEXTS.sub(b'"\\1":"\x02"', text))
    elif name == "trainingProgress":
        text = _CLOCK_MS.sub(b"\\g<1>\x04", text)
    return b',"%b":%b' % (name.encode(), text)


def _finish(text: bytes, moment: Moment) -> bytes:
    if SIGN in text:
        deadline = signing_deadline(moment.now)
        original = moment.original_assets
        text = _MARKED.sub(lambda hit: sign(hit[1], deadline, original=original), text)
    if NOW_TEXT in text or NOW_MS in text or LIVE_NUMBER in text:
        now_ms = to_ms(moment.now)
        text = text.replace(NOW_TEXT, format_ms(now_ms).encode())
        text = text.replace(NOW_MS, str(now_ms).encode())
        text = text.replace(LIVE_NUMBER, str(1 + moment.variant % 997).encode())
    return text


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
