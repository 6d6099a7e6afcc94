"""
How late the event loop is: how long something else kept everybody waiting.

Owns the measuring, which costs nothing while nobody asks. Never logs, never decides.
Kind: edge (waits).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncer.domain import Clock

SAMPLE_S: Final = 0.01
"""Between two looks: half of what a block may last before it matters. Less would cost more than
0.3 % of a core."""


@dataclass(slots=True)
class LagSpan:
    """What was seen while one piece of work was under way."""

    worst_ms: float = 0.0


class LoopLag:
    """Notices how much later than asked its sleeps return, while somebody wants to know."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spans: list[LagSpan] = []
        self._wanted = asyncio.Event()
        self._worst_ms = 0.0

    @property
    def worst_ms(self) -> float:
        """The longest that was ever seen."""
        return self._worst_ms

    @contextmanager
    def span(self) -> Iterator[LagSpan]:
        """Measure until the block ends, if ``watch`` is running."""
        span = LagSpan()
        self._spans.append(span)
        self._wanted.set()
        try:
            yield span
        finally:
            # By identity: two spans that saw the same are equal.
            self._spans = [each for each in self._spans if each is not span]
            if not self._spans:
                self._wanted.clear()

    async def watch(self) -> None:
        """Measure for ever, whenever a span is open. Cancel-safe: yes; it keeps numbers only."""
        while True:
            await self._wanted.wait()
            due_s = self._clock.monotonic() + SAMPLE_S
            await self._clock.sleep(SAMPLE_S)
            self._note(1000 * (self._clock.monotonic() - due_s))

    def _note(self, late_ms: float) -> None:
        self._worst_ms = max(self._worst_ms, late_ms)
        for span in self._spans:
            span.worst_ms = max(span.worst_ms, late_ms)
