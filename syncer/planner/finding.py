"""
One thing found out about the source, and how it is told when it changes.

Never decides what an answer means; that is ``probe``'s and ``wire``'s.
Invariant: what the answers do not prove has no value, and contradicts nothing.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

FindingValue = str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out about the source, or that it could not be found out."""

    key: str
    value: FindingValue | None
    """``None``: the answers prove nothing either way."""
    meaning: str
    contradicts: str = ""
    """What the crawler relies on and this source does not do; empty when nothing."""
    remedy: str = ""
    """What to do about the contradiction."""
    caution: str = ""
    """Worth a warning, though the crawler can live with it."""
    measured: bool = False
    """Moves by itself; another value later is no news."""


def drift_warning(finding: Finding, before: FindingValue, since: datetime) -> str:
    """What to say when a finding differs from the stored one; empty when it does not."""
    now = finding.value
    if finding.measured or now is None or now == before:
        return ""
    if isinstance(now, tuple) and isinstance(before, tuple):
        changes = [f"'{each}' is new" for each in now if each not in before]
        changes += [f"'{each}' is gone" for each in before if each not in now]
        difference = f"{', '.join(changes)} (was {len(before)} values, is {len(now)})"
    else:
        difference = f"was {say_value(before)}, is {say_value(now)}"
    return f"the source changed since {since:%Y-%m-%d}: {finding.key}: {difference}"


def say_value(value: FindingValue | None) -> str:
    """A finding's value for people."""
    if value is None:
        return "not found out"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
