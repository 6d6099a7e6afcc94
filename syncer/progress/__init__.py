"""
What a person sees during long work: a bar per catalog on a terminal, log lines elsewhere.

Owns the choice between the two. Never decides what is done, never waits.
Kind: edge (terminal).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TextIO

from syncer.progress.bars import BarProgress
from syncer.progress.lines import LogProgress
from syncer.progress.tally import NoProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import FilteringBoundLogger

    from syncer.domain import Clock

__all__ = ["BarProgress", "LogProgress", "NoProgress", "Progress", "build_progress"]


@contextlib.contextmanager
def build_progress(
    stream: TextIO,
    *,
    json_output: bool,
    log: FilteringBoundLogger,
    clock: Clock,
) -> Iterator[Progress]:
    """
    Yield bars when ``stream`` is a terminal that can draw them, else log lines.

    Args:
        stream: where people look: stderr.
        json_output: the command answers in JSON on stdout; the bars are wiped at the end, so that
            nothing but the answer stays on a shared terminal.
        log: where log lines go.
        clock: measures the rates.
    """
    if not stream.isatty():
        yield LogProgress(log, clock)
        return
    from rich.console import Console  # noqa: PLC0415 - it takes longer than `syncer --help` may

    console = Console(file=stream)
    if console.is_dumb_terminal or not console.is_terminal:
        yield LogProgress(log, clock)
        return
    with BarProgress(console, clock, transient=json_output) as bars:
        yield bars
