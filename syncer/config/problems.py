"""
What is wrong with a configuration, collected so that one run names everything.

Owns the wording of the one ``ConfigError`` that carries several problems, and "did you mean".
Never shows a value that could be a secret.
Kind: pure.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must be put right before anything runs."""

    what: str
    """What is wrong, and where it was written."""
    remedy: str
    """What to do about it; a sentence of its own."""

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


@dataclass(slots=True)
class Report:
    """What was found while a configuration was read; lives only during that reading."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, remedy: str) -> None:
        """Note a problem and go on reading, so that the next one is named as well."""
        self.problems.append(Problem(what, remedy))


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise one ``ConfigError`` for all problems; none is no error."""
    if not problems:
        return
    texts = tuple(str(problem) for problem in problems)
    if len(problems) == 1:
        raise ConfigError(problems[0].what, hint=problems[0].remedy, problems=texts)
    remedies = tuple(problem.remedy for problem in problems)
    lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(texts, start=1))
    raise ConfigError(
        f"the configuration has {len(texts)} problems",
        hint=f"Correct them:{lines}",
        problems=texts,
        remedies=remedies,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known are: {', '.join(known)}."
