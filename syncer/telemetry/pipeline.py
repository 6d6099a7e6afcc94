"""
The one pipeline every log line passes, ours and the libraries'.

Owns level, stamp, shape and stream of a line, and the order of the steps. Never decides anything,
never measures.
Invariant: no line reaches the stream but through ``Redactor``; a reader that left stops nothing.
Kind: edge (structlog, imported when first needed: it takes longer than ``syncer --help`` may).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Final, TextIO, cast

from syncer.errors import ConfigError
from syncer.telemetry.events import LIBRARY_REPORTED
from syncer.telemetry.exceptions import describe_exceptions
from syncer.telemetry.redaction import Redactor, Secrets
from syncer.telemetry.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from syncer.domain import Clock

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
FORMATS: Final = ("auto", "json", "console")

_WHEREOF: Final = ("catalog", "cycle", "kind", "partition")
"""Keys that stand first in each line that has them, so that lines of one cycle look alike."""


def configure_logging(
    *,
    level: str,
    format: str,  # noqa: A002 - the word of the configuration
    stream: TextIO,
    redact: Callable[[str], str],
    clock: Clock,
    secrets: Secrets = (),
) -> None:
    """
    Send every log line, ours and the libraries', to ``stream``.

    May be called again (SIGHUP): loggers that were bound before then follow the new level,
    format and secrets.

    Args:
        level: one of ``LEVELS``.
        format: one of ``FORMATS``; ``auto`` is JSON unless ``stream`` is a terminal.
        stream: when it is ``sys.stderr``, lines go to whatever that is at the time of writing,
            because a progress bar takes its place while it lives.
        redact: cuts what is secret by its form (``syncer.api.normalise.redact_text``).
        clock: stamps the lines.
        secrets: values that are hidden whatever they look like; ``Credentials.secrets`` as it is.

    Raises:
        ConfigError: ``level`` or ``format`` is not one of the known words.
    """
    structlog = _load_structlog()
    _require("log.level", level, LEVELS)
    _require("log.format", format, FORMATS)
    on_terminal = stream.isatty()
    console = format == "console" or (format == "auto" and on_terminal)
    steps: list[Processor] = [
        _Threshold(logging.getLevelNamesMapping()[level.upper()]),
        structlog.contextvars.merge_contextvars,
        _Stamp(clock),
        describe_exceptions,
        Redactor(secrets=secrets, redact=redact),
        _console_renderer(colors=on_terminal) if console else _render_json,
    ]
    # Bound loggers keep the list they were bound with, so the list is changed, not replaced.
    processors = structlog.get_config()["processors"] if structlog.is_configured() else []
    processors[:] = steps
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_LineWriterFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries()


def logger(**context: object) -> FilteringBoundLogger:
    """Return a logger that adds ``context`` to each of its lines."""
    structlog = _load_structlog()
    bound: FilteringBoundLogger = structlog.get_logger().bind(**context)
    return bound


@contextlib.contextmanager
def bound(**context: object) -> Iterator[None]:
    """Add ``context`` to each line of this task, and of the tasks it starts, within the block.

    For what ties lines together that are written far apart: which cycle a page, a retry of a
    request and a partition belong to.
    """
    with _load_structlog().contextvars.bound_contextvars(**context):
        yield


def _load_structlog() -> ModuleType:
    """Import structlog without what it would only need for tracebacks that we never ask it for.

    It loads rich and pygments, a third of the start of a command, where they are installed; here
    that import fails, as where they are not. A program that has loaded rich by then pays nothing.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        modules = cast("dict[str, ModuleType | None]", sys.modules)
        modules["rich"] = None
        try:
            return importlib.import_module("structlog")
        finally:
            del modules["rich"]
    return importlib.import_module("structlog")


def _require(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{key} is '{value}', which is not one of {', '.join(known)}")


class _Threshold:
    """Drops what is below the configured level, before anything else is spent on it."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._numbers = {name.lower(): n for name, n in logging.getLevelNamesMapping().items()}

    def __call__(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        import structlog  # noqa: PLC0415 - already loaded when a line is written

        method = "error" if method == "exception" else method
        if self._numbers.get(method, logging.CRITICAL) < self._level:
            raise structlog.DropEvent
        event_dict["level"] = method
        return event_dict


class _Stamp:
    """Puts the time in front, the only one in a line that is this machine's, then what it is of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        level, event = event_dict.pop("level"), event_dict.pop("event", "")
        head = {"timestamp": self._clock.now(), "level": level, "event": event}
        whereof = {key: event_dict.pop(key) for key in _WHEREOF if key in event_dict}
        return {**head, **whereof, **event_dict}


def _render_json(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> str:
    return json.dumps(event_dict)


def _console_renderer(*, colors: bool) -> Processor:
    import structlog  # noqa: PLC0415 - already loaded when logging is configured

    return structlog.dev.ConsoleRenderer(
        colors=colors,
        pad_event_to=24,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


class _LineWriter:
    """Writes finished lines; structlog calls it by the name of the level."""

    def __init__(self, stream: TextIO, *, follow_stderr: bool) -> None:
        self._stream = stream
        self._follow_stderr = follow_stderr

    def msg(self, line: str) -> None:
        """Write one line at once."""
        stream = sys.stderr if self._follow_stderr else self._stream
        # The reader of the log is gone or its disk is full. There is no place left to say so, and
        # a mirror does not stop because nobody listens.
        with contextlib.suppress(OSError, ValueError):
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = critical = msg


class _LineWriterFactory:
    def __init__(self, stream: TextIO) -> None:
        self._writer = _LineWriter(stream, follow_stderr=stream is sys.stderr)

    def __call__(self, *_args: object) -> _LineWriter:
        return self._writer


class _LibraryHandler(logging.Handler):
    """Hands lines of the standard library's logging to our pipeline."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as a ``library_reported`` line, unless it only says the same again."""
        times = self._repeats.count(record)
        if times is None:
            return
        name = record.levelname.lower()
        level = name if name in LEVELS else "warning"
        facts = {} if times == 1 else {"times": times}
        write = getattr(logger(logger=record.name, **facts), level)
        write(LIBRARY_REPORTED, message=_formatted(record), exc_info=record.exc_info)


def _formatted(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A library's format string that does not fit its arguments: the string alone still helps.
        return str(record.msg)


def _route_libraries() -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
