"""
What a command that is started makes of SIGHUP: nohup has it ignored, and so may whoever runs tests.

Kind: edge (signals).
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def hangup_is(handler: signal.Handlers) -> Iterator[None]:
    """Whatever is started inside the block inherits it."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
