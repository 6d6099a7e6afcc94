"""
Whether the database is away, for all that this process has noticed, and the two words about it.

Owns when an outage has begun and ended, over all parts of a process. Never asks the database.
Invariant: an outage that was told has an end that is told, once.
Kind: conductor.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncer.domain import Clock
from syncer.errors import SyncerError
from syncer.telemetry import Event, logger


@dataclass(slots=True)
class Outage:
    """What all that use the database share, so that the end is told once."""

    clock: Clock
    _since_s: float | None = None

    def begin(self) -> None:
        """The database is away; said elsewhere, or not worth a line."""
        if self._since_s is None:
            self._since_s = self.clock.monotonic()

    def note(self, error: SyncerError, **facts: object) -> None:
        """Tell people that the database is away and is waited for."""
        self.begin()
        logger(**facts).warning(Event.DATABASE_UNAVAILABLE, exc_info=error)

    def end(self) -> None:
        """It has answered; nothing happens if it was not away."""
        if self._since_s is None:
            return
        outage_s = self.clock.monotonic() - self._since_s
        self._since_s = None
        logger(outage_s=round(outage_s, 1)).info(Event.DATABASE_RECOVERED)
