"""
Rows in PostgreSQL's binary COPY format (documentation of COPY, "Binary Format").

Owns how a value of ``ROW_COLUMNS`` looks on the wire. Never sends anything.
Why it exists: the driver encodes a row value by value and asks of each word whether it is an array;
here values that recur from row to row are encoded once, which takes a third of the time.
Invariant: a row reads back as ``row_from_model`` would have written it.
Kind: pure.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from syncer.domain import EPOCH, FIRST_INSTANT, Millis, to_millis
from syncer.store.rows import ROW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncer.domain import Model
    from syncer.store.rows import Batch

CHUNK_BYTES: Final = 128 * 1024
"""What goes to the socket at once: more than its buffer takes would only be moved about."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_JSONB_VERSION = b"\1"
_TEXT_OID = 25
_POSTGRES_EPOCH = EPOCH.replace(year=2000)
_POSTGRES_EPOCH_MS = to_millis(_POSTGRES_EPOCH)
_FIRST_MICROS = (FIRST_INSTANT - _POSTGRES_EPOCH) // timedelta(microseconds=1)

_COLUMNS = Struct("!h").pack(len(ROW_COLUMNS))
_LENGTH = Struct("!i").pack
_INTEGER = Struct("!ii").pack
_ONE_DIMENSION = Struct("!iiiii").pack
_EMPTY_ARRAY = Struct("!iii").pack(0, 0, _TEXT_OID)
_TIMES = Struct("!iqiq").pack
_NUMBERS = Struct("!iqiq").pack


def encode_rows(batch: Batch, models: Sequence[Model]) -> Iterator[bytes]:
    """Models of a batch as a whole COPY of ``ROW_COLUMNS``, in chunks."""
    encoder = _Encoder(batch)
    parts, size = [_HEADER], 0
    for model in models:
        row = encoder.row(model)
        parts.append(row)
        size += len(row)
        if size >= CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join((*parts, _TRAILER))


class _Encoder:
    """Remembers what recurs, for as long as its page."""

    def __init__(self, batch: Batch) -> None:
        self._begin = _COLUMNS + _text(batch.catalog)
        self._sent_order = batch.sent_order
        self._word = cache(_text)
        self._words = cache(_words)

    def row(self, model: Model) -> bytes:
        word, words = self._word, self._words
        (
            id_, created_ms, updated_ms, body, content_hash, name, type_, privacy, status, source,
            custom, tags, capabilities, collection_ids, author_id, owner_id, parent_model_id,
            short_description, access_restrictions, training_images_number, thumbnail_asset_id,
            _drift, fingerprint,
        ) = model  # fmt: skip
        return b"".join(
            (
                self._begin,
                _text(id_),
                _text(name),
                word(type_),
                word(privacy),
                word(status),
                word(source),
                _flag(custom),
                words(tags),
                words(capabilities),
                words(collection_ids),
                word(author_id),
                word(owner_id),
                word(parent_model_id),
                _text(short_description),
                _integer(access_restrictions),
                _integer(training_images_number),
                _text(thumbnail_asset_id),
                _TIMES(8, _micros(created_ms), 8, _micros(updated_ms)),
                _LENGTH(len(body) + 1),
                _JSONB_VERSION,
                body,
                _LENGTH(len(content_hash)),
                content_hash,
                _NUMBERS(8, self._sent_order, 8, fingerprint),
            )
        )


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    text = value.encode()
    return _LENGTH(len(text)) + text


def _flag(value: bool | None) -> bytes:  # noqa: FBT001 - a value, not a switch
    if value is None:
        return _NULL
    return b"\0\0\0\1\1" if value else b"\0\0\0\1\0"


def _words(values: tuple[str, ...] | None) -> bytes:
    """One dimension from 1; none where there is nothing in it."""
    if values is None:
        return _NULL
    elements = b"".join(map(_text, values))
    bounds = _ONE_DIMENSION(1, 0, _TEXT_OID, len(values), 1) if values else _EMPTY_ARRAY
    return _LENGTH(len(bounds) + len(elements)) + bounds + elements


def _integer(value: int | None) -> bytes:
    return _NULL if value is None else _INTEGER(4, value)


def _micros(at_ms: Millis) -> int:
    return max((at_ms - _POSTGRES_EPOCH_MS) * 1000, _FIRST_MICROS)
