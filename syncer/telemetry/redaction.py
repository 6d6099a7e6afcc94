"""
Turn an event into plain JSON values that hold no secret.

Owns what is hidden in a log line: known values, names that give a secret away, and what the given
``redact`` knows by its form. Never drops a fact but the secret in it.
Invariant: what comes out consists of plain JSON values, and all its text has been looked at.
Kind: pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

HIDDEN: Final = "[redacted]"

Secrets = Sequence[str] | Callable[[], Sequence[str]]
"""Values that are secret in this process; called for each line when they can change (a JWT)."""

MAX_TEXT_CHARS: Final = 10_000
"""A log line must stay readable by its collector, whatever a model or a server put into a value."""

SECRET_KEYS: Final = frozenset(
    {
        "api_key",
        "api_secret",
        "authorization",
        "cookie",
        "jwt",
        "key-pair-id",
        "password",
        "policy",
        "proxy-authorization",
        "set-cookie",
        "signature",
        "wandbkey",
    },
)
"""Names (lower case) whose value is hidden even when nothing in its text gives it away."""


class Redactor:
    """
    Turn an event into plain JSON values that hold no secret.

    Keys are looked at as well as values, however deep; what is neither text, number, list nor
    mapping is written as text first, so nothing reaches the stream unseen.
    """

    def __init__(self, *, secrets: Secrets, redact: Callable[[str], str]) -> None:
        self._source = secrets
        self._redact = redact
        self._known: tuple[str, ...] = ()
        self._secrets: tuple[str, ...] = ()

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        """Clean one event (the structlog processor)."""
        known = tuple(self._source() if callable(self._source) else self._source)
        if known != self._known:
            self._known, self._secrets = known, _spellings(known)
        return self._mapping(event_dict)

    def text(self, text: str) -> str:
        """Return ``text`` without secrets, cut to ``MAX_TEXT_CHARS``."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = self._redact(text)
        # Cut last: half a secret would no longer be recognised.
        surplus = len(text) - MAX_TEXT_CHARS
        return f"{text[:MAX_TEXT_CHARS]}… ({surplus} more characters)" if surplus > 0 else text

    def _mapping(self, values: Mapping[Any, object]) -> dict[str, object]:
        return {
            self.text(str(key)): HIDDEN
            if str(key).lower() in SECRET_KEYS and value not in (None, "")
            else self._value(value)
            for key, value in values.items()
        }

    def _value(self, value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float) and self._is_plain(value):
            return value
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(each) for each in value]
        return self.text(_as_text(value))

    def _is_plain(self, number: float) -> bool:
        """JSON can write it, and it is not the digits of a password."""
        return math.isfinite(number) and str(number) not in self._secrets


def _spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Each secret as it is and as URLs and JSON spell it, longest first: one may hold another."""
    found = {
        spelling
        for secret in secrets
        if secret
        for spelling in (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1])
    }
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _as_text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    return str(value)
