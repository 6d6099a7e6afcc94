"""
Which lines of a library are worth writing when it says the same again and again.

Owns the count. Never writes a line, never reads a clock: each record brings its time.
Invariant: the first is always written, and so is one after a quiet minute; what is held back is
counted in the next that is written.
Kind: pure.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

QUIET_S: Final = 60.0
"""So long after the last one, the same line is news again."""
MOST_KNOWN: Final = 256
"""Different lines that are counted at a time; the one that was seen longest ago goes."""


class Repeats:
    """Counts what is the same but for the arguments."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def count(self, record: logging.LogRecord) -> int | None:
        """How often it was said, this one included; ``None``: not worth a line.

        Worth one are the first, second, fourth, eighth and so on.
        """
        key = (record.name, record.levelno, str(record.msg))
        last_s, times = self._seen.pop(key, (float("-inf"), 0))
        times = 1 if record.created - last_s > QUIET_S else times + 1
        self._seen[key] = (record.created, times)
        if len(self._seen) > MOST_KNOWN:
            self._seen.popitem(last=False)
        return times if times.bit_count() == 1 else None
