"""
What the API client tells about its requests, and the words for how they end.

Owns the port through which conductors log and count. Never logs.
Invariant: every request that was sent is reported once, under one of these outcomes.
Kind: pure.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from syncer.errors import (
    PageTooLarge,
    SourceLimitReached,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    SyncerError,
    WalkBroken,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (SourceThrottled, "throttled"),
    (SourceLimitReached, "limit_reached"),
    (SourceRefused, "refused"),
    (SourceRejected, "rejected"),
    (PageTooLarge, "too_large"),
    (WalkBroken, "broken"),
    (SourceUnavailable, "unavailable"),
    (asyncio.CancelledError, "cancelled"),
    (Exception, "error"),
)
"""What a request is reported as when it ends with an error; without one it is ``ok``."""


class RequestObserver(Protocol):
    """Told about every request; speaks to operators so that this module need not."""

    def request_started(self) -> None:
        """Take note of one request that goes out now: the budget has let it pass."""
        ...

    def request_finished(
        self, *, outcome: str, duration_s: float, params: Mapping[str, str]
    ) -> None:
        """Take note of one request that was sent, whatever became of it."""
        ...

    def retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        """Take note that the same question will be asked again after ``delay_s``."""
        ...


class Nobody:
    """The observer of a client that has none."""

    def request_started(self) -> None:
        """Take no note."""

    def request_finished(
        self, *, outcome: str, duration_s: float, params: Mapping[str, str]
    ) -> None:
        """Take no note."""

    def retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        """Take no note."""


def outcome_of(error: BaseException) -> str:
    """The metric label for a request that ended with this error."""
    return next(name for kind, name in OUTCOMES if isinstance(error, kind))
