"""
Who is asking: Basic, Bearer, or the raw public token (UPSTREAM §1).

Owns the verdict on an ``Authorization`` header. Never logs or keeps a credential.
Kind: pure.
"""

from __future__ import annotations

import base64
import binascii
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from syncer.simulator.options import SimulatorOptions

PUBLIC_TOKEN = "public-auth-token"  # noqa: S105 - a documented literal, not a secret
_JWT_PARTS = 3


class AuthKind(enum.StrEnum):
    """How a request identified itself."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    PUBLIC = "public"


class AuthVerdict(enum.Enum):
    """What the gateway makes of a header."""

    ACCEPTED = "accepted"
    UNAUTHORIZED = "unauthorized"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Caller:
    """The outcome of looking at one ``Authorization`` header."""

    kind: AuthKind
    verdict: AuthVerdict


def authenticate(header: str | None, options: SimulatorOptions, now: datetime) -> Caller:
    """The caller behind a header."""
    if not header:
        return Caller(AuthKind.NONE, AuthVerdict.UNAUTHORIZED)
    if header == PUBLIC_TOKEN:
        return Caller(AuthKind.PUBLIC, AuthVerdict.ACCEPTED)
    scheme, _, credential = header.partition(" ")
    if scheme.lower() == "basic":
        known = _is_known_pair(credential, options)
        return Caller(AuthKind.BASIC, _accepted(known=known))
    if scheme.lower() == "bearer":
        return Caller(AuthKind.BEARER, _judge_bearer(credential, options, now))
    return Caller(AuthKind.NONE, AuthVerdict.UNAUTHORIZED)


def issue_jwt(now: datetime, ttl: timedelta) -> str:
    """An unsigned JWT that ``authenticate`` accepts until it expires."""
    header = _encode({"alg": "none", "typ": "JWT"})
    return f"{header}.{_encode({'exp': int((now + ttl).timestamp())})}.unsigned"


def _is_known_pair(credential: str, options: SimulatorOptions) -> bool:
    try:
        key, _, secret = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    if options.keys is None:
        return bool(key and secret)
    return bool(secret) and options.keys.get(key) == secret


def _judge_bearer(token: str, options: SimulatorOptions, now: datetime) -> AuthVerdict:
    if options.bearer_tokens is not None and token not in options.bearer_tokens:
        return AuthVerdict.UNAUTHORIZED
    expires_at = _expiry(token)
    if expires_at is not None and expires_at <= now.timestamp():
        return AuthVerdict.EXPIRED
    return _accepted(known=bool(token))


def _expiry(token: str) -> float | None:
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims: Any = msgspec.json.decode(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    expires_at = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires_at) if isinstance(expires_at, int | float) else None


def _encode(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=").decode()


def _accepted(*, known: bool) -> AuthVerdict:
    return AuthVerdict.ACCEPTED if known else AuthVerdict.UNAUTHORIZED
