"""
Say an exception in a log line.

Owns the difference between an expected error (one line, with its hint) and a bug (a traceback).
Redacts nothing; that is a later step.
Kind: pure.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from syncer.errors import SyncerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import EventDict, WrappedLogger


def describe_exceptions(
    _logger: WrappedLogger,
    _method: str,
    event_dict: EventDict,
) -> EventDict:
    """Say an expected error in one line with its hint; show the traceback of a bug only."""
    raised = _exception_in(event_dict.pop("exc_info", None))
    if raised is None:
        return event_dict
    known = [leaf for leaf in _leaves(raised) if isinstance(leaf, SyncerError)]
    event_dict["error"] = "; ".join(_distinct(_message(leaf) for leaf in _leaves(raised)))
    event_dict["error_type"] = ", ".join(_distinct(type(leaf).__name__ for leaf in _leaves(raised)))
    if hints := _distinct(leaf.hint for leaf in known if leaf.hint):
        event_dict["hint"] = " ".join(hints)
    for leaf in known:
        for key, value in leaf.context.items():
            event_dict.setdefault(key, value)
    if len(known) < len(_leaves(raised)):
        event_dict["exception"] = "".join(traceback.format_exception(raised))
    return event_dict


def _exception_in(exc_info: object) -> BaseException | None:
    """The exception meant by ``exc_info``: itself, ``True`` for the current one, or a triple."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return _exception_in(exc_info[1])
    return sys.exception() if exc_info else None


def _leaves(raised: BaseException) -> list[BaseException]:
    if isinstance(raised, BaseExceptionGroup):
        return [leaf for each in raised.exceptions for leaf in _leaves(each)]
    return [raised]


def _message(raised: BaseException) -> str:
    text = raised.message if isinstance(raised, SyncerError) else str(raised)
    return " ".join(text.split()) or type(raised).__name__


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
