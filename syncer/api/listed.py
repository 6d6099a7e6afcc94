"""
The records of a page, read no further than a walk and a comparison need.

Owns the fingerprint: which texts are so equal that nothing needs to be read. Never judges a record
as a whole; what has an unusual id or date is left to ``record``.
Why it exists: nearly every record of a sweep is stored already, and reading one costs five times as
much as telling that its text is the stored one's.
Invariant: equal fingerprints mean equal columns, body and content hash.
Kind: pure.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import xxhash

from syncer.domain import Listed, Millis, to_millis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RULES = 2
"""Goes into every fingerprint. To be raised with each change of what a record becomes (columns,
redaction, content hash), so that what is stored is read anew once."""

_TWO_63, _TWO_64 = 1 << 63, 1 << 64
_FOR_ZERO = 1
"""0 says that there is none (``NO_FINGERPRINT``)."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")
"""An id that needs no care of any kind, as all seen so far (UPSTREAM §3.2)."""


class _Head(msgspec.Struct):
    id: str
    created: str = msgspec.field(name="createdAt")
    updated: str = msgspec.field(name="updatedAt")
    owner: str | None = msgspec.field(default=None, name="ownerId")


class _Heads(msgspec.Struct):
    models: list[_Head]


_HEADS = msgspec.json.Decoder(_Heads)


def list_records(body: bytes, records: Sequence[bytes | msgspec.Raw]) -> Iterator[Listed | None]:
    """The page's records in order; ``None`` for each that must be read whole to be told apart.

    Args:
        body: the page, without the queries of signed links.
        records: the elements of its ``models``, as raw text.
    """
    try:
        heads = _HEADS.decode(body).models
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        heads = []
    if len(heads) != len(records):
        yield from (None for _ in records)
        return
    for index, (head, raw) in enumerate(zip(heads, records, strict=True)):
        yield _listed(head, bytes(raw), f"$.models[{index}]")


def fingerprint(raw: bytes) -> int:
    """64 bits, signed as PostgreSQL's ``bigint``, over a record without queries of signed links."""
    number = xxhash.xxh3_64_intdigest(raw, RULES)
    return (number - _TWO_64 if number >= _TWO_63 else number) or _FOR_ZERO


def _listed(head: _Head, raw: bytes, path: str) -> Listed | None:
    created_ms, updated_ms = _plain_time(head.created), _plain_time(head.updated)
    if created_ms is None or updated_ms is None or not _PLAIN_ID.fullmatch(head.id):
        return None
    if head.owner and not _PLAIN_ID.fullmatch(head.owner):
        return None
    return Listed(head.id, created_ms, updated_ms, head.owner, fingerprint(raw), raw, path)


def _plain_time(text: str) -> Millis | None:
    """``None``: it is to be read with more care, or is no date."""
    # Beyond ASCII one letter may have two capitals, and then it separates nothing any more.
    if not (text.isascii() and text.endswith("Z")):
        return None
    try:
        return to_millis(datetime.fromisoformat(text))
    except ValueError:
        return None
