"""
Source time: whole milliseconds since 1970, UTC, and the text form the API gives it.

Owns conversion only. Never reads a clock.
Kind: pure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970; finer digits are cut off."""
    return (at - EPOCH) // MILLISECOND


def to_datetime(at_ms: int) -> datetime:
    """The aware UTC datetime of a source time."""
    return EPOCH + timedelta(milliseconds=at_ms)


def format_ms(at_ms: int) -> str:
    """The form that the API writes: ``2026-08-21T16:57:39.268Z``."""
    return to_datetime(at_ms).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_ms(text: object) -> int | None:
    """The instant an ISO 8601 string names, or ``None`` where it names none.

    A text without an offset is UTC; digits beyond the millisecond are cut off.
    """
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
