"""
Addresses in the configuration: which are usable, and how to show them without their secrets.

Owns the checks of ``source.base_url``, ``database.url`` and ``http.listen``. Never connects.
Invariant: no message made here contains the address that it is about.
Kind: pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from syncer.config.kinds import BadValueError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HIDDEN = "***"
MAX_PORT = 65535
SECRET_PARAMETERS = frozenset({"password", "sslpassword"})
"""Of a database URL."""


def check_base_url(url: str) -> str:
    """The source's address without a trailing slash."""
    parts = _split(url)
    if parts.scheme not in {"http", "https"}:
        raise BadValueError("but it does not begin with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise BadValueError(
            "but it contains credentials",
            remedy="Remove them; set SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET instead.",
        )
    if not parts.hostname:
        raise BadValueError("but it names no host")
    if "?" in url or "#" in url:
        raise BadValueError(
            "but it contains a query or a fragment",
            remedy="Remove everything from '?' or '#' on; filters are keys of a [[catalog]].",
        )
    return url.rstrip("/")


def check_database_url(url: str) -> str:
    """A URL that asyncpg takes; empty means the embedded server."""
    if not url:
        return url
    parts = _split(url)
    if parts.scheme.partition("+")[0] not in {"postgres", "postgresql"}:
        raise BadValueError(
            "but it does not begin with postgresql://",
            remedy="Write postgresql://user:password@host:5432/database.",
        )
    if "+" in parts.scheme:
        raise BadValueError(
            "but its scheme names a driver",
            remedy="Write postgresql:// without the '+' and what follows it.",
        )
    if "#" in url:
        raise BadValueError("but it contains a '#'", remedy="In a password, write '#' as %23.")
    return url


def check_listen(address: str) -> str:
    """``host:port``; empty turns the listener off."""
    if address:
        split_listen(address)
    return address


def split_listen(address: str) -> tuple[str, int]:
    """Host (IPv6 without brackets) and port of ``host:port``."""
    host, colon, port = address.rpartition(":")
    if not colon or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > MAX_PORT:
        raise BadValueError(
            "but it does not end with ':' and a port", remedy="Write 127.0.0.1:8787."
        )
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) != (host != bare) or re.search(r"[\s/@]", bare):
        raise BadValueError(
            "but the part before the port is no host",
            remedy="Write 127.0.0.1:8787, or 0.0.0.0:8787 for all interfaces, or [::1]:8787.",
        )
    return bare, int(port)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def mask_url(url: str) -> str:
    """A usable URL with its password shown as ``***``."""
    if not url:
        return url
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    pairs = [
        (name, HIDDEN if name in SECRET_PARAMETERS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    netloc = f"{user}{colon}{HIDDEN if colon else ''}{at}{host}"
    query = f"?{urlencode(pairs, safe='*/:,')}" if pairs else ""
    # Not urlunsplit: it drops the empty authority of "postgresql:///database".
    return f"{parts.scheme}://{netloc}{parts.path}{query}"


def url_secrets(url: str) -> tuple[str, ...]:
    """What a log must not show of a usable database URL: its passwords, as written and decoded."""
    parts = urlsplit(url)
    raw = parts.netloc.rpartition("@")[0].partition(":")[2]
    given = [value for name, value in parse_qsl(parts.query) if name in SECRET_PARAMETERS]
    return tuple(dict.fromkeys(secret for secret in (raw, unquote(raw), *given) if secret))


def _split(url: str) -> SplitResult:
    if re.search(r"\s", url):
        raise BadValueError("but it contains a space")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # The reason may quote a part of the password, so it is not passed on.
        raise BadValueError(
            "but its host or port cannot be read",
            remedy="In a user name or password, write '@', ':', '/', '?' and '#' percent-encoded.",
        ) from None
    return parts
