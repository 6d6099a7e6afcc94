"""
The body of an answer → its models, in the listed order.

Owns what makes an answer a page. Never waits, logs or stores, and never judges a record: that is
``record``'s. Two paths with one result: msgspec for the whole page; where it refuses, the page is
cut by its brackets (``jsontext``).
Invariant: one entry for each listed record; one bad record costs one record (P9).
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from syncer.api import jsontext, normalise
from syncer.api.listed import list_records
from syncer.api.record import decode_record, undecodable
from syncer.domain import Listed
from syncer.errors import SourceUnavailable, WalkBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncer.domain import Model, Unusable

EXCERPT_BYTES = 200

_BOM = b"\xef\xbb\xbf"
_EXCERPT_SOURCE_BYTES = 65_536


class _Envelope(msgspec.Struct):
    models: list[msgspec.Raw]
    token: str | None = msgspec.field(default=None, name="nextPaginationToken")


_PAGE = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """What an answer of ``GET /models`` said; the client adds what its headers said."""

    entries: tuple[Listed | Model | Unusable, ...]
    """In the order in which the source listed them."""
    next_token: str | None
    """``None`` is the end of the listing."""


def list_page(body: bytes) -> DecodedPage:
    """Decode one answer of ``GET /models`` as far as a walk and a comparison need.

    Raises:
        SourceUnavailable: the body is no page: not UTF-8, not JSON, cut off, HTML, no ``models``.
        WalkBroken: it is JSON, but ``models`` is no array or the token no string.
    """
    body = body.removeprefix(_BOM)
    try:
        # msgspec does not look into strings that it skips.
        jsontext.refuse_other_than_utf8(body)
        body = normalise.cut_plain_links(body)
        records, token = _split_page(body)
        entries = tuple(
            listed or decode_record(bytes(raw), f"$.models[{index}]")
            for index, (listed, raw) in enumerate(
                zip(list_records(body, records), records, strict=True)
            )
        )
    except jsontext.NotJsonError as error:
        raise _not_a_page(str(error), '{"models": […]}', body) from error
    return DecodedPage(entries, token or None)


def decode_page(body: bytes) -> DecodedPage:
    """Decode one answer of ``GET /models``, each record to its end.

    Raises: as ``list_page``.
    """
    page = list_page(body)
    return DecodedPage(read_entries(page.entries), page.next_token)


def read_entries(entries: Iterable[Listed | Model | Unusable]) -> tuple[Model | Unusable, ...]:
    """The records of a page, each read to its end."""
    return tuple(read_listed(each) if isinstance(each, Listed) else each for each in entries)


def read_listed(listed: Listed) -> Model | Unusable:
    """The rest of a record: what it becomes in the mirror."""
    try:
        return decode_record(listed.raw, listed.path, listed)
    except jsontext.NotJsonError as error:  # pragma: no cover - a page's records were JSON to it
        return undecodable(listed.raw, f"{listed.path} cannot be read: {error}")


def decode_model(raw: bytes) -> Model | Unusable:
    """Decode one record; whatever it is, the answer is a value."""
    raw = raw.removeprefix(_BOM)
    try:
        return decode_record(raw, "$")
    except jsontext.NotJsonError as error:
        return undecodable(raw, f"$ cannot be read: {error}")


def decode_retrieved(body: bytes) -> Model | Unusable:
    """Decode one answer of ``GET /models/{id}``.

    Raises:
        SourceUnavailable: the body is not JSON, or has no ``model``.
    """
    body = body.removeprefix(_BOM)
    try:
        return decode_record(_find_retrieved(body), "$.model")
    except jsontext.NotJsonError as error:
        raise _not_a_page(str(error), '{"model": {…}}', body) from error


def _find_retrieved(body: bytes) -> bytes:
    raw = jsontext.split_object(body).get("model", b"null")
    if raw == b"null":
        raise jsontext.NotJsonError("it has no $.model")
    return raw


def _split_page(body: bytes) -> tuple[Sequence[bytes | msgspec.Raw], str | None]:
    try:
        page = _PAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records, token = _split_page_leniently(body)
    else:
        records, token = page.models, page.token
    if token and jsontext.find_text_fault(token):
        raise WalkBroken(f"$.nextPaginationToken {jsontext.find_text_fault(token)}")
    return records, token


def _split_page_leniently(body: bytes) -> tuple[Sequence[bytes | msgspec.Raw], str | None]:
    members = jsontext.split_object(body)
    records = members.pop("models", b"null")
    models = jsontext.peek(records)
    token = jsontext.peek(members.pop("nextPaginationToken", b"null"))
    for raw in members.values():
        jsontext.peek(raw)
    if models is None:
        raise jsontext.NotJsonError("it has no $.models")
    if not isinstance(models, list):
        raise WalkBroken(f"$.models is {jsontext.type_name(models)}, not an array")
    if token is not None and not isinstance(token, str):
        raise WalkBroken(f"$.nextPaginationToken is {jsontext.type_name(token)}, not a string")
    return jsontext.split_array(records), token


def _not_a_page(reason: str, expected: str, body: bytes) -> SourceUnavailable:
    excerpt = _excerpt(body) or "nothing"
    return SourceUnavailable(
        f"the source's answer cannot be read: {reason}; expected {expected}, got {excerpt}"
    )


def _excerpt(body: bytes) -> str:
    """Redacted before it is cut, so that no half of a secret slips through."""
    text = body[:_EXCERPT_SOURCE_BYTES].decode(errors="replace").replace("\0", "")
    shown = normalise.printable(text)
    return shown.encode()[:EXCERPT_BYTES].decode(errors="ignore")
