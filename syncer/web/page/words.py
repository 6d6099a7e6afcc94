"""
Say durations, times and counts so that a tired person reads them at once.

Owns the wording of single values, and which stored link may be shown. Never builds HTML: what it
returns is plain text, to be escaped by the template.
Invariant: no text leaves here with a secret, a signature or a control character in it.
Kind: pure.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from syncer.api.normalise import printable

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DOMAIN = "scenario.com"
_MAX_NAME = 120
_TURNING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that turn the writing direction of what follows, the page's own words included."""
UNKNOWN = "unknown"


def duration(seconds: float | None) -> str:
    """``8 s``, ``4 min 10 s``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, round(seconds))
    for place, (unit, size) in enumerate(_UNITS):
        if whole >= size:
            smaller, smaller_size = _UNITS[place + 1] if place + 1 < len(_UNITS) else ("s", 1)
            rest = whole % size // smaller_size
            return f"{whole // size:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    if 0 < seconds < 1:
        return "under 1 s"
    return f"{whole} s"


def count(number: float | None) -> str:
    """With thousands apart."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def parse(text: str | None) -> datetime | None:
    """A time of the status document."""
    return None if text is None else datetime.fromisoformat(text)


def moment(at: datetime) -> str:
    """To the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def machine(at: datetime) -> str:
    """For ``<time datetime>``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago; clocks of two machines may differ, so the future is said as well."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def weekday_hour(at: datetime) -> str:
    """``Thu 21:00``, the same in every locale."""
    at = at.astimezone(UTC)
    return f"{_DAYS[at.weekday()]} {at:%H:%M}"


def day(on: date) -> str:
    """``8 Oct``, the same in every locale."""
    return f"{on.day} {_MONTHS[on.month - 1]}"


def short(text: str | None) -> str:
    """One line without secrets; what is longer than a row of a table bears is cut."""
    shown = sentence(text)
    return shown if len(shown) <= _MAX_NAME else f"{shown[: _MAX_NAME - 1]}…"


def sentence(text: str | None) -> str:
    """One line without secrets, at any length: what went wrong and what to do are never cut."""
    return printable((text or "").translate(_TURNING))


def public_thumbnail(url: str | None) -> str | None:
    """The link if anybody may follow it, else ``None``.

    Links into ``/assets`` need the signature that the mirror cuts off; only ``/thumbnails`` is
    public. Whatever else a record holds in this place is not for a page to link to.
    Source: UPSTREAM §3.4.
    """
    if url is None or url != printable(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        is_plain = parts.port is None and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:
        return None
    host = parts.hostname or ""
    is_theirs = host == _DOMAIN or host.endswith(f".{_DOMAIN}")
    is_public = parts.path.startswith("/thumbnails/") and ".." not in parts.path
    return url if parts.scheme == "https" and is_theirs and is_public and is_plain else None
