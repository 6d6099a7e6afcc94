"""
The source's own rate limit: so many requests in any 60 s, counted on arrival.

Owns the arithmetic only; a refused request is not counted.
Kind: pure.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=60)


class RateWindow:
    """A sliding window over the arrivals that were let in."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._arrivals: deque[datetime] = deque()

    def admit(self, now: datetime) -> float | None:
        """``None`` lets the request in; else the seconds until the next one would be."""
        if self._limit is None:
            return None
        while self._arrivals and self._arrivals[0] <= now - WINDOW:
            self._arrivals.popleft()
        if len(self._arrivals) >= self._limit:
            return (self._arrivals[0] + WINDOW - now).total_seconds()
        self._arrivals.append(now)
        return None
