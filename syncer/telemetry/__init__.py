"""
What the program says: the catalogue of events, and the one pipeline every log line passes.

``events`` names them, ``exceptions`` words errors, ``redaction`` hides secrets, ``pipeline`` puts
the steps in order and writes the line.
"""

from syncer.telemetry.events import Event
from syncer.telemetry.pipeline import FORMATS, LEVELS, bound, configure_logging, logger
from syncer.telemetry.redaction import MAX_TEXT_CHARS, Redactor, Secrets

__all__ = [
    "FORMATS",
    "LEVELS",
    "MAX_TEXT_CHARS",
    "Event",
    "Redactor",
    "Secrets",
    "bound",
    "configure_logging",
    "logger",
]
