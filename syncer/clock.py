"""
The real clock.

Owns the only reads of time in the program; everything else takes a ``Clock``.
Kind: edge (system clock).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock, monotonic clock and sleep of this machine."""

    def now(self) -> datetime:
        """Aware UTC wall-clock time."""
        return datetime.now(UTC)  # noqa: TID251 - the composition root's clock

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait ``delay_s`` seconds."""
        await asyncio.sleep(delay_s)
