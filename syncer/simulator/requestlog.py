"""
What the source was asked, for tests that count requests.

Owns the records; keeps the newest ``KEPT`` so that a long simulation stays bounded.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

KEPT = 200_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request, as it arrived and as it was answered."""

    at: datetime
    """The source's clock on arrival."""
    method: str
    path: str
    params: Mapping[str, str]
    status: int
    """0 when the connection was reset before an answer began."""
    rows: int
    """Models in the answer."""
    auth: str
    """``none``, ``basic``, ``bearer`` or ``public``."""
    fault: str | None = None
    """The fault that struck instead of the answer or on its way."""


class RequestLog(list[RecordedRequest]):
    """A list of requests, oldest first, that forgets its older half when it grows too long."""

    def note(self, request: RecordedRequest) -> None:
        """Append, within bounds."""
        if len(self) >= KEPT:
            del self[: KEPT // 2]
        self.append(request)
