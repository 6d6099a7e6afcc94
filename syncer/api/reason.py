"""
The source's own words, made safe to show.

Owns what of an unsuccessful answer may be quoted in a message. Never judges the answer.
Invariant: credentials, tokens and signatures are cut before anything is shortened or shown.
Kind: pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_REASON_CHARS = 200
"""Of the source's own words in a message."""

_SECRET_PATTERNS = (
    # Signed links (UPSTREAM §3.4) and anything that calls itself a secret.
    re.compile(
        r"(?i)\b((?:x-amz-[\w-]+|signature|policy|key-pair-id|expires|wandbkey|authorization"
        r"|[\w-]*(?:secret|password|token|api[_-]?key))[\"']?\s*[=:]\s*[\"']?)"
        r"(?:(?:basic|bearer)\s+)?[^\s\"'&,;)}]+"
    ),
    re.compile(r"(?i)\b((?:basic|bearer)\s+)[\w=/+.-]{16,}"),
    # JWTs and pagination tokens are base64 of JSON.
    re.compile(r"()\beyJ[\w=/+.-]{6,}"),
)


def quote_reason(fields: Mapping[str, object], secrets: Iterable[str]) -> str:
    """The source's own words, in parentheses; redacted first, then shortened to one line."""
    said = next(
        (
            text
            for key in ("reason", "message", "error")
            if isinstance(text := fields.get(key), str)
        ),
        "",
    )
    for secret in secrets:
        said = said.replace(secret, "***")
    for pattern in _SECRET_PATTERNS:
        said = pattern.sub(r"\1***", said)
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    if len(line) > MAX_REASON_CHARS:
        line = line[: MAX_REASON_CHARS - 1] + "…"
    return f" ({line})" if line else ""


def quote_redirect(location: str) -> str:
    """Where a redirect points to, in parentheses; without user, password, query and fragment."""
    try:
        target = urlsplit(location)
        host = target.hostname or ""
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return ""
    return f" (to {target.scheme}://{host}{port}{target.path})" if host else ""


def secret_parts(authorization: str) -> tuple[str, ...]:
    """Every string that would give an ``Authorization`` value away if the source repeated it."""
    secret = authorization.partition(" ")[2] or authorization
    try:
        pair = base64.b64decode(secret, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    key, _, password = pair.partition(":")
    # Longest first, so that a part does not break up the whole before it is found.
    return tuple(part for part in (authorization, secret, pair, password, key) if part)
