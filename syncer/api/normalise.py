"""
What of a record may be stored or shown, and what of it counts as content.

Owns redaction (secrets, URL signatures, passwords in URLs) and the content hash. Never decides
whether a record is usable.
Invariant: ``normalise`` is idempotent and changes nothing but secrets; the hash ignores whatever
the source re-signs, recomputes or re-orders by itself (UPSTREAM §3.4), and nothing else.
When in doubt the redaction takes more: a URL that lost its query is a nuisance, a leaked signature
is an incident. Every pattern is linear in its text: possessive, or bounded by a separator.
Kind: pure.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import TYPE_CHECKING, cast

import msgspec
import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.api.jsontext import ExactNumber

REDACTED = "[redacted]"

_HINTS = (b"expires", b"key-pair-id", b"policy", b"signature", b"x-amz-")
_ENCODED_NAME = re.compile(rb"%(?:25)*+(?:2d|[46][1-9a-f]|[57][0-9a])", re.IGNORECASE)
"""A letter or a hyphen that nobody needs to encode, but that a server decodes in a name."""

_BLANK = r" \t\r\n\f\v"
_OUTSIDE = rf'{_BLANK}"<>`'
"""Characters that end a URL in running text; spelled out, because ``\\s`` takes UTF-8 bytes too."""
_CODE = r"(?:%(?:25)*+|\\u00)"
"""What stands before the hexadecimal code of a character: encoded once or often, or in JSON."""


def _encodable(word: str) -> str:
    """A pattern for a word of which any character may be percent-encoded."""
    # Case is ignored, so both codes of a letter are meant by either.
    codes = ({f"{ord(form):x}" for form in (char, char.upper())} for char in word)
    return "".join(
        f"(?:{char}|{_CODE}(?:{'|'.join(sorted(code))}))"
        for char, code in zip(word, codes, strict=True)
    )


_AND = rf"(?:&(?:amp;)?|{_CODE}26)"
_BEFORE_NAME = rf"(?:[?&;]|{_CODE}(?:3f|26|3b))"
_NAMES = "|".join(map(_encodable, ("signature", "policy", "key-pair-id", "expires")))
# What separates parameters ends the open name too, else every one of them is read to the end.
_AMZ = rf"{_encodable('x-amz-')}(?:[\w-]|{_CODE}(?!3d|3f|26|3b)[0-9a-f]{{2}})*+"
_NAME = rf"(?:{_NAMES}|{_AMZ}){_encodable('=')}"
_REST = rf"(?:[^{_OUTSIDE}?\\]++|\\[^{_OUTSIDE}?])*+"
_VALUE = rf"(?:[^{_OUTSIDE}&;\\]++|\\[^{_OUTSIDE}&;])*+"
_SECRET = r"wandb[_-]?(?:api[_-]?)?key"  # noqa: S105 - the name of a secret, not a secret

_QUERY = re.compile(rf"(?:\?|{_CODE}3f){_REST}", re.IGNORECASE)
_SIGNED = re.compile(_BEFORE_NAME + _NAME, re.IGNORECASE)
_STRAY = re.compile(_AND + _NAME + _VALUE, re.IGNORECASE)
_NEXT_URL = re.compile(r"[,;|]'?(?=https?:)", re.IGNORECASE)
_PUNCTUATION = ")]}'.,;:!"
_USER_INFO = re.compile(rf"(:\\?/\\?/)[^{_OUTSIDE}/?#@:\\]*+:[^{_OUTSIDE}/?#]*@")
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_SECRET_PAIR = re.compile(
    rf"""({_SECRET}(?:\\*+["'])?[{_BLANK}]*+[:=][{_BLANK}]*+)"""
    r"""(?:(")(?:[^"\\]++|\\.)++"""  # plain JSON
    r"""|(\\++["']|')(?!\3).+?(?=(?<!\\)\3|\Z)"""  # JSON inside a JSON string, Python's repr
    rf"""|[^{_BLANK}"'\\,;&}}\[{{\]]++)""",
    re.IGNORECASE | re.DOTALL,
)
_CREDENTIAL = re.compile(
    rf"""(authorization\\*+["']?\s*+[:=]\s*+\\*+["']?(?:(?:basic|bearer)\s++)?"""
    r"""|(?<![\w-])(?:basic|bearer)\s++"""
    r"""(?!(?:auth|authentication|credentials?|scheme|plan|account)\.?(?:[\s,;)]|\Z)))"""
    rf"""[^{_BLANK}"'\\,;]++""",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:u00([2-7][0-9a-f])|.)", re.IGNORECASE | re.DOTALL)

_PLAIN_QUERY = re.compile(rb"""\?[A-Za-z0-9_&=~+/*.%-]++(?=")""")
_PLAIN_SIGNED = re.compile(
    rb"[?&](?:signature|policy|key-pair-id|expires|x-amz-[a-z0-9_-]++)=", re.IGNORECASE
)
_ENCODED = re.compile(rb"%(?!2[Ff])")
"""Anything encoded but a slash, which is what credentials in a link hold."""
_PLAIN_PATH = re.compile(rb"https?://[\w./~+:-]++", re.IGNORECASE)

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")

_BACKSLASH = ord("\\")
_SETS = ("tags", "capabilities", "collectionIds")
_VOLATILE_WHOLE = frozenset({"performanceStats", "trainingProgress"})
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_MAX_PLAIN_DIGITS = 4000
"""``jsonb`` spells out every digit; Python turns no longer integers into text."""


def needs_redaction(raw: bytes) -> bool:
    """Whether raw JSON may hold anything that ``normalise`` would change; cheap, errs to yes."""
    # An escape may hide any ASCII character, ``@`` may end a user:password. The one-byte searches
    # come first: they take a tenth of the time of the others, and settle nearly every record.
    if b"@" in raw or (b"\\" in raw and rb"\u00" in raw):
        return True
    lowered = raw.lower()
    if b"wandb" in lowered:
        return True
    if b"%" in raw and _ENCODED_NAME.search(raw):
        return True
    return (b"=" in raw or b"%" in raw) and any(hint in lowered for hint in _HINTS)


def cut_plain_links(body: bytes) -> bytes:
    """Raw JSON without the queries of its signed links, as far as a glance tells which they are.

    What ``normalise`` would cut, and nothing else; what is left is for ``normalise``.
    """
    if b"?" not in body:
        return body
    kept: list[bytes] = []
    begin = 0
    for query in _PLAIN_QUERY.finditer(body):
        start, end = query.span()
        opening = body.rfind(b'"', begin, start)
        is_whole_string = opening > 0 and body[opening - 1] != _BACKSLASH
        if is_whole_string and _is_plain_signed(query[0], body[opening + 1 : start]):
            kept.append(body[begin:start])
            begin = end
    return b"".join((*kept, body[begin:]))


def _is_plain_signed(query: bytes, before: bytes) -> bool:
    """Whether a link is so plain that all rules below would cut its query, and nothing else."""
    return (
        _PLAIN_SIGNED.search(query) is not None
        and not query.endswith((b".", b"*"))
        and (b"%" not in query or _ENCODED.search(query) is None)
        and _PLAIN_PATH.fullmatch(before) is not None
    )


def normalise(record: dict[str, object]) -> dict[str, object]:
    """Redact secrets and cut signatures; the same object where there is nothing to change.

    The record is nested at most ``jsontext.MAX_DEPTH`` levels deep; it is not modified.
    """
    return cast("dict[str, object]", _clean(record))


def content_hash(record: dict[str, object]) -> bytes:
    """16 bytes over the stable content of a normalised record.

    Volatile paths (UPSTREAM §3.4) and object key order do not count; ``tags``, ``capabilities``
    and ``collectionIds`` count as sets; numbers count by value, as in ``jsonb``.

    Args:
        record: at most ``jsontext.MAX_DEPTH`` levels deep.
    """
    return xxhash.xxh3_128_digest(_CANONICAL.encode(_stable(record)))


def without_volatile(record: dict[str, object]) -> dict[str, object]:
    """A normalised record without what the source re-signs or recomputes by itself.

    SQL's ``syncer.stable_body`` leaves out the same.
    """
    stable = dict(record)
    for key in _VOLATILE_WHOLE:
        stable.pop(key, None)
    for key, strip in _STRIP.items():
        if value := stable.get(key):
            stable[key] = strip(value)
    return stable


def canonical_fields(record: dict[str, object]) -> dict[str, bytes]:
    """Each field of a normalised record; equal bytes are equal content, as for the hash."""
    return {name: _CANONICAL.encode(value) for name, value in _stable(record).items()}


def loose_digest(record: dict[str, object]) -> bytes:
    """32 bytes over the stable content of a record that cannot be a model, whatever it holds.

    Survives what ``content_hash`` could not encode, such as lone surrogates.
    """
    text = json.dumps(_stable(normalise(record)), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()


def redact_text(text: str) -> str:
    """Text fit for a log or an error: no signatures, no secrets, no ``Authorization`` values."""
    return _CREDENTIAL.sub(rf"\1{REDACTED}", _redact_escaped(text))


def printable(text: str) -> str:
    """Redacted text on one line, without control characters."""
    return _UNPRINTABLE.sub(" ", redact_text(text)).strip()


def redact_bytes(raw: bytes) -> bytes:
    """Bytes fit for quarantine, whether they are JSON or not; untouched where nothing is secret."""
    # Latin-1 maps every byte to itself, so that broken UTF-8 survives.
    return _redact_escaped(raw.decode("latin-1")).encode("latin-1")


def _redact_escaped(text: str) -> str:
    """Redact what may be JSON text; as it came where nothing is secret, else with fewer escapes."""
    plain = _ESCAPE.sub(_unescape, text)
    cleaned = _redact(plain)
    return text if cleaned == plain else cleaned


def _unescape(escape: re.Match[str]) -> str:
    r"""Spell out what JSON lets one hide: ``\u0026``, ``\/``, ``wandb\u004bey``."""
    if escape[0] == r"\/":
        return "/"
    char = chr(int(escape[1], 16)) if escape[1] else "\\"
    return escape[0] if char in '"\\' else char


def _redact(text: str) -> str:
    """Cut what must not be shown out of prose, JSON, or anything else."""
    if not _is_suspect(text):
        return text
    cleaned = _USER_INFO.sub(r"\1", text)
    cleaned = _QUERY.sub(_cut_signed, cleaned)
    cleaned = _STRAY.sub("", cleaned)
    if "wandb" in cleaned.lower():
        cleaned = _SECRET_PAIR.sub(_hide_value, cleaned)
    return text if cleaned == text else cleaned


def _is_suspect(text: str) -> bool:
    """Whether any pattern could match; plain searches, because nearly every text passes."""
    return (
        "?" in text
        or "&" in text
        or "@" in text
        or "%" in text
        or "\\" in text
        or "wandb" in text.lower()
    )


def _cut_signed(query: re.Match[str]) -> str:
    text = query[0]
    end = 0
    for parameter in _SIGNED.finditer(text):
        end = parameter.end()
    if not end:
        return text
    neighbour = _NEXT_URL.search(text, end)
    if neighbour:
        return text[neighbour.start() :]
    return text[max(end, len(text.rstrip(_PUNCTUATION))) :]


def _hide_value(pair: re.Match[str]) -> str:
    return f"{pair[1]}{pair[2] or pair[3] or ''}{REDACTED}"


def _clean(value: object) -> object:
    """One frame for each level of nesting, so that 500 levels fit the interpreter's stack."""
    if isinstance(value, str):
        return _redact(value)
    if isinstance(value, dict):
        members: dict[str, object] = {}
        changed = False
        is_innocent = _is_innocent_object(value)
        for key, old in value.items():
            if is_innocent:
                name, new = key, old if isinstance(old, str) else _clean(old)
            else:
                name, new = _redact(key), REDACTED if _is_secret(key, old) else _clean(old)
            changed = changed or new is not old or name is not key
            members[name] = new
        return members if changed else value
    if isinstance(value, list) and not _is_innocent_list(value):
        items = []
        for old in value:
            items.append(_clean(old))  # noqa: PERF401 - a comprehension costs a second frame
        return items if any(map(operator.is_not, items, value)) else value
    return value


def _is_innocent_object(members: dict[str, object]) -> bool:
    """Whether neither a key nor a text directly inside can hold a secret, tested at once."""
    texts = [item for item in members.values() if isinstance(item, str)]
    return not _is_suspect("\n".join([*members, *texts]))


def _is_innocent_list(items: list[object]) -> bool:
    """Whether a list holds nothing but text without secrets: a hundred ids, tested at once."""
    return set(map(type, items)) == {str} and not _is_suspect("\n".join(map(str, items)))


def _is_secret(key: str, value: object) -> bool:
    return isinstance(value, str) and value != "" and _SECRET_NAME.fullmatch(key) is not None


def _stable(record: dict[str, object]) -> dict[str, object]:
    stable = without_volatile(record)
    for key in _SETS:
        words = stable.get(key)
        if isinstance(words, list) and len(words) > 1 and set(map(type, words)) == {str}:
            stable[key] = sorted(set(words))
    return stable


def _without(value: object, name: str) -> object:
    if isinstance(value, dict) and name in value:
        return {key: item for key, item in value.items() if key != name}
    return value


def _each_without(value: object, name: str) -> object:
    return [_without(item, name) for item in value] if isinstance(value, list) else value


def _strip_thumbnail(value: object) -> object:
    return _without(value, "url")


def _strip_class(value: object) -> object:
    return _without(value, "thumbnails")


def _strip_training_images(value: object) -> object:
    return _each_without(value, "downloadUrl")


def _strip_epochs(value: object) -> object:
    return [_strip_epoch(epoch) for epoch in value] if isinstance(value, list) else value


def _strip_epoch(epoch: object) -> object:
    if isinstance(epoch, dict) and "assets" in epoch:
        return {**epoch, "assets": _each_without(epoch["assets"], "url")}
    return epoch


def _strip_links(value: object) -> object:
    """Leave out every string that begins with ``http``, at any depth."""
    if isinstance(value, dict):
        members: dict[str, object] = {}
        for key, item in value.items():
            if not _is_link(item):
                members[key] = _strip_links(item)
        return members
    if isinstance(value, list):
        items: list[object] = []
        for item in value:
            if not _is_link(item):
                items.append(_strip_links(item))  # noqa: PERF401 - as in _clean
        return items
    return None if _is_link(value) else value


def _is_link(value: object) -> bool:
    return isinstance(value, str) and value[:4].lower() == "http"


_STRIP: dict[str, Callable[[object], object]] = {
    "thumbnail": _strip_thumbnail,
    "class": _strip_class,
    "trainingImages": _strip_training_images,
    "epochs": _strip_epochs,
    "parameters": _strip_links,
}


def _plain_number(value: object) -> int | Decimal:
    """Spell equal numbers equally: ``25``, ``25.0`` and ``2.5e1`` are one number to ``jsonb``."""
    number = cast("ExactNumber", value).normalize(_EXACT)
    exponent = number.as_tuple().exponent
    is_whole = isinstance(exponent, int) and exponent >= 0
    return int(number) if is_whole and number.adjusted() < _MAX_PLAIN_DIGITS else number


_CANONICAL = msgspec.json.Encoder(
    order="deterministic", decimal_format="number", enc_hook=_plain_number
)
