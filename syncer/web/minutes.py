"""
How many of something there were in each of the last minutes.

Owns a ring of counts. Never reads a clock.
Kind: pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

KEPT = 60
_SECONDS = 60


@dataclass(slots=True)
class Minutes:
    """Counts by minute; minutes in which nothing happened are left out."""

    _counts: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def count(self, at: datetime) -> None:
        """One more at this moment; moments come in order, or count for the newest minute."""
        minute = int(at.timestamp()) // _SECONDS
        if self._counts and self._counts[-1][0] >= minute:
            last, number = self._counts.pop()
            self._counts.append((last, number + 1))
        else:
            self._counts.append((minute, 1))

    def until(self, now: datetime) -> list[tuple[datetime, int]]:
        """The last hour's, oldest first, each by the beginning of its minute."""
        first = int(now.timestamp()) // _SECONDS - KEPT
        return [
            (datetime.fromtimestamp(minute * _SECONDS, UTC), number)
            for minute, number in self._counts
            if minute > first
        ]
