"""
One record of a listing → a model with its columns, or why there is none.

Owns what makes a record usable (DESIGN, Merging), what PostgreSQL can store, and which field
becomes which column. Never decides what a page is.
Invariant: what PostgreSQL cannot hold never becomes a ``Model``; a field of unexpected type costs
its column, never its record.
Kind: pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

from syncer.api import jsontext, normalise
from syncer.api.listed import fingerprint
from syncer.domain import Listed, Millis, Model, Unusable, to_millis

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ID_BYTES = 1_000
"""An id is an index key, and PostgreSQL's B-tree takes 2,704 bytes for all columns together."""
MAX_KEY_CHARS = 500
"""Types and tags are index keys as well: at most 2,000 bytes of UTF-8."""
_MAX_SHOWN_CHARS = 60
_INT4 = 2**31
_DIGITS_OF_INT4 = 10
_FIRST_MS = to_millis(datetime.min.replace(tzinfo=UTC))
_LAST_MS = to_millis(datetime.max.replace(tzinfo=UTC))

_IDENTITY_FIELDS = ("id", "createdAt", "updatedAt")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")

_RECORD = msgspec.json.Decoder(float_hook=jsontext.exact_number)
_BODY = msgspec.json.Encoder(decimal_format="number", enc_hook=Decimal)


@dataclass(frozen=True, slots=True)
class _Identity:
    """What can be said of any record, usable or not."""

    id: str | None
    created_ms: Millis | None
    updated_ms: Millis | None


class _UnusableError(ValueError):
    """The record cannot become a model; the message is the reason."""


def decode_record(raw: bytes, path: str, listed: Listed | None = None) -> Model | Unusable:
    """Decode one record.

    Args:
        raw: its text.
        path: where it stands in the answer.
        listed: what is known of it already, when it was listed.

    Raises:
        NotJsonError: not even a lenient reader can make sense of it.
    """
    record: object = None
    try:
        jsontext.refuse_too_deep(raw)
        record, is_lenient = _read_record(raw)
        if is_lenient or rb"\u0000" in raw:
            _refuse_unstorable(record, path)
        if not isinstance(record, dict):
            raise _UnusableError(f"{path} is {jsontext.type_name(record)}, not an object")  # noqa: TRY301 - as all reasons
        body = raw
        if is_lenient or normalise.needs_redaction(raw):
            record = normalise.normalise(record)
            body = _BODY.encode(record)
        known = listed or Listed(
            _require_id(record, path),
            _require_time(record, "createdAt", path),
            _require_time(record, "updatedAt", path),
            None,
            fingerprint(raw),
            raw,
            path,
        )
        return _to_model(record, body, known)
    except RecursionError:
        reason = f"{path} is nested more than {jsontext.MAX_DEPTH} levels deep"
        return undecodable(raw, reason)
    except _UnusableError as error:
        return _unusable(raw, str(error), _identify(record), content=record)


def read_stored(body: bytes) -> dict[str, object]:
    """The record of a stored ``body``, numbers as exact as they are stored."""
    return cast("dict[str, object]", _read_record(body)[0])


def write_stored(record: dict[str, object]) -> bytes:
    """JSON as it is stored, numbers digit by digit."""
    return _BODY.encode(record)


def undecodable(raw: bytes, reason: str) -> Unusable:
    """The entry of a record that cannot be read as a whole."""
    return _unusable(raw, reason, _identify(_read_skeleton(raw)))


def _read_record(raw: bytes) -> tuple[object, bool]:
    """The value, and whether it is no strict JSON."""
    try:
        return _RECORD.decode(raw), False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return jsontext.read(raw), True


def _read_skeleton(raw: bytes) -> dict[str, object]:
    """What tells a record apart, of one that cannot be read as a whole."""
    try:
        members = jsontext.split_object(raw)
        return {name: jsontext.peek(members.get(name, b"null")) for name in _IDENTITY_FIELDS}
    except jsontext.NotJsonError:
        return {}


def _to_model(record: dict[str, object], body: bytes, listed: Listed) -> Model:
    fields, drift = _fields_of(record)
    thumbnail = fields.thumbnail
    # By place: a page has hundreds of them, and names cost a third of the time.
    return Model(
        listed.id,
        listed.created_ms,
        listed.updated_ms,
        body,
        normalise.content_hash(record),
        fields.name,
        fields.type,
        fields.privacy,
        fields.status,
        fields.source,
        fields.custom,
        _each_once(fields.tags),
        _each_once(fields.capabilities),
        _each_once(fields.collection_ids),
        fields.author_id,
        fields.owner_id,
        fields.parent_model_id,
        fields.short_description,
        fields.access_restrictions,
        fields.training_images_number,
        None if thumbnail is None else thumbnail.asset_id,
        drift,
        listed.fingerprint,
    )


def _each_once(words: list[str] | None) -> tuple[str, ...] | None:
    """In the listed order, each word once."""
    return None if words is None else tuple(dict.fromkeys(words))


_Int4 = Annotated[int, msgspec.Meta(ge=-_INT4, lt=_INT4)]
_Key = Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]


class _Thumbnail(msgspec.Struct, rename="camel"):
    asset_id: str | None = None


class _Fields(msgspec.Struct, rename="camel"):
    """The fields that have a column, of the documented types."""

    name: str | None = None
    type: _Key | None = None
    privacy: str | None = None
    status: str | None = None
    source: str | None = None
    custom: bool | None = None
    tags: list[_Key] | None = None
    capabilities: list[str] | None = None
    collection_ids: list[str] | None = None
    author_id: str | None = None
    owner_id: str | None = None
    parent_model_id: str | None = None
    short_description: str | None = None
    access_restrictions: _Int4 | None = None
    training_images_number: _Int4 | None = None
    thumbnail: _Thumbnail | None = None


def _fields_of(record: dict[str, object]) -> tuple[_Fields, tuple[str, ...]]:
    """The fields that have a column, and which of them are of other types."""
    try:
        return msgspec.convert(record, _Fields), ()
    except msgspec.ValidationError:
        columns = _Columns(record)
        return columns.pick(), tuple(columns.drift)


class _Columns:
    """Picks fields by exact type; what has another type is drift, absent and null are not."""

    def __init__(self, record: Mapping[str, object]) -> None:
        self._record = record
        self.drift: list[str] = []

    def pick(self) -> _Fields:
        return _Fields(
            name=self.text("name"),
            type=self.key("type"),
            privacy=self.text("privacy"),
            status=self.text("status"),
            source=self.text("source"),
            custom=self.flag("custom"),
            tags=self.keys("tags"),
            capabilities=self.words("capabilities"),
            collection_ids=self.words("collectionIds"),
            author_id=self.text("authorId"),
            owner_id=self.text("ownerId"),
            parent_model_id=self.text("parentModelId"),
            short_description=self.text("shortDescription"),
            access_restrictions=self.whole_number("accessRestrictions"),
            training_images_number=self.whole_number("trainingImagesNumber"),
            thumbnail=_Thumbnail(self.nested_text("thumbnail", "assetId")),
        )

    def text(self, name: str) -> str | None:
        value = self._record.get(name)
        if isinstance(value, str):
            return value
        self._note_drift(name, value)
        return None

    def flag(self, name: str) -> bool | None:
        value = self._record.get(name)
        if isinstance(value, bool):
            return value
        self._note_drift(name, value)
        return None

    def words(self, name: str) -> list[str] | None:
        value = self._record.get(name)
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return value
        self._note_drift(name, value)
        return None

    def key(self, name: str) -> str | None:
        text = self.text(name)
        return text if self._fits(name, [text or ""]) else None

    def keys(self, name: str) -> list[str] | None:
        words = self.words(name)
        return words if self._fits(name, words or []) else None

    def _fits(self, name: str, keys: list[str]) -> bool:
        if is_long := any(len(key) > MAX_KEY_CHARS for key in keys):
            self._note_drift(name, keys)
        return not is_long

    def whole_number(self, name: str) -> int | None:
        """``25`` and ``25.0`` alike, where PostgreSQL's ``integer`` holds it."""
        value = self._record.get(name)
        number = _to_whole_number(value)
        if number is None:
            self._note_drift(name, value)
        return number

    def nested_text(self, outer: str, inner: str) -> str | None:
        value = self._record.get(outer)
        if not isinstance(value, dict):
            self._note_drift(outer, value)
            return None
        text = value.get(inner)
        if isinstance(text, str):
            return text
        self._note_drift(f"{outer}.{inner}", text)
        return None

    def _note_drift(self, name: str, value: object) -> None:
        if value is not None:
            self.drift.append(name)


def _to_whole_number(value: object) -> int | None:
    if isinstance(value, Decimal) and value.adjusted() < _DIGITS_OF_INT4:
        value = int(value) if value == value.to_integral_value() else None
    if isinstance(value, int) and not isinstance(value, bool) and -_INT4 <= value < _INT4:
        return value
    return None


def _require_id(record: Mapping[str, object], path: str) -> str:
    value = record.get("id")
    if value is None:
        raise _UnusableError(f"{path}.id is missing")
    if not isinstance(value, str):
        raise _UnusableError(f"{path}.id is {jsontext.type_name(value)}, not a string")
    if not value:
        raise _UnusableError(f"{path}.id is empty")
    if len(value.encode()) > MAX_ID_BYTES:
        raise _UnusableError(f"{path}.id is longer than the {MAX_ID_BYTES} bytes of an index key")
    return value


def _require_time(record: Mapping[str, object], name: str, path: str) -> Millis:
    value = record.get(name)
    if value is None:
        raise _UnusableError(f"{path}.{name} is missing")
    if not isinstance(value, str):
        raise _UnusableError(f"{path}.{name} is {jsontext.type_name(value)}, not a date")
    at_ms = _parse_time(value)
    if at_ms is None:
        raise _UnusableError(
            f"{path}.{name} is {_show(value)}, which is no date of the years 1 to 9999"
        )
    return at_ms


def _parse_time(value: object) -> Millis | None:
    """An ISO date in UTC unless it says otherwise; digits finer than a millisecond are cut off."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    at_ms = to_millis(at if at.tzinfo else at.replace(tzinfo=UTC))
    return at_ms if _FIRST_MS <= at_ms <= _LAST_MS else None


def _identify(record: object) -> _Identity:
    fields = record if isinstance(record, dict) else {}
    return _Identity(
        id=_storable_id(fields.get("id")),
        created_ms=_parse_time(fields.get("createdAt")),
        updated_ms=_parse_time(fields.get("updatedAt")),
    )


def _storable_id(value: object) -> str | None:
    """The id as a model's would be stored; ``None`` where it could not be a key."""
    if not isinstance(value, str) or jsontext.find_text_fault(value):
        return None
    key = normalise.normalise({"id": value})["id"]
    return key if isinstance(key, str) and 0 < len(key.encode()) <= MAX_ID_BYTES else None


def _unusable(raw: bytes, reason: str, identity: _Identity, *, content: object = None) -> Unusable:
    redacted = normalise.redact_bytes(raw)
    # A record that is only signed anew, or served with other keys first, keeps digest and key.
    if isinstance(content, dict):
        digest = normalise.loose_digest(content)
    else:
        digest = hashlib.sha256(redacted).digest()
    return Unusable(
        key=identity.id or f"sha256:{digest.hex()}",
        reason=reason,
        raw=redacted,
        digest=digest,
        created_ms=identity.created_ms,
        updated_ms=identity.updated_ms,
        has_id=identity.id is not None,
    )


def _refuse_unstorable(value: object, path: str) -> None:
    """Raise ``_UnusableError`` for the first thing inside that PostgreSQL cannot store."""
    if isinstance(value, str):
        fault = jsontext.find_text_fault(value)
        if fault:
            raise _UnusableError(f"{path} {fault}")
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise _UnusableError(f"{path} is a number that PostgreSQL cannot store")
    elif isinstance(value, dict):
        for key, item in value.items():
            fault = jsontext.find_text_fault(key)
            if fault:
                raise _UnusableError(f"{path} has a key that {fault}")
            _refuse_unstorable(item, path + _step(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_unstorable(item, f"{path}[{index}]")


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{_show(key)}]"


def _show(text: str) -> str:
    """Text of the source's, quoted in a reason: short, redacted, printable."""
    shown = normalise.printable(text)[:_MAX_SHOWN_CHARS]
    return json.dumps(shown, ensure_ascii=False).encode(errors="backslashreplace").decode()
