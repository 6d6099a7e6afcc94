"""
What a cycle did and how it ended.

Owns the tallies of one cycle and the exit codes that follow from its end. Never acts.
Invariant: "complete" is what the transaction of the last page said, never a guess.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from syncer.domain import CycleKind
from syncer.errors import EXIT_PRECEDENCE, ExitCode, SyncerError, Verdict


class PageResult(Protocol):
    """What the store says of a committed page."""

    @property
    def inserted(self) -> int:
        """New to the mirror."""
        ...

    @property
    def updated(self) -> int:
        """Replaced an older version."""
        ...

    @property
    def restored(self) -> int:
        """Tombstones undone."""
        ...

    @property
    def unchanged(self) -> int:
        """Already stored as they are."""
        ...

    @property
    def stale(self) -> int:
        """Older than what is stored; left alone."""
        ...

    @property
    def quarantined(self) -> int:
        """New in quarantine, or changed there."""
        ...

    @property
    def rewound(self) -> int:
        """Went back to an older version, which the source showed twice."""
        ...

    @property
    def missed(self) -> int:
        """Found by a sweep although a delta walk should have brought them."""
        ...

    @property
    def unannounced(self) -> int:
        """Found by a sweep, and by nothing else to be found."""
        ...

    @property
    def cycle_finished(self) -> bool:
        """Whether the page's transaction ended its cycle."""
        ...


@dataclass(slots=True)
class Tally:
    """What a cycle has done so far; a hint for people, the database is the truth."""

    pages: int = 0
    models: int = 0
    inserted: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    stale: int = 0
    quarantined: int = 0
    rewound: int = 0
    missed: int = 0
    unannounced: int = 0
    removed: int = 0
    """Tombstones set."""
    removals_waiting: int = 0
    """Confirmed removals that the guard holds back."""
    finished: bool = False
    resumed: bool = False

    def add(self, models: int, result: PageResult) -> None:
        """Count one committed page."""
        self.pages += 1
        self.models += models
        self.inserted += result.inserted
        self.updated += result.updated
        self.restored += result.restored
        self.unchanged += result.unchanged
        self.stale += result.stale
        self.quarantined += result.quarantined
        self.rewound += result.rewound
        self.missed += result.missed
        self.unannounced += result.unannounced
        self.finished = self.finished or result.cycle_finished


@dataclass(frozen=True, slots=True)
class CycleOutcome:
    """How a cycle ended."""

    catalog: str
    kind: CycleKind
    complete: bool
    tally: Tally
    error: SyncerError | None = None
    """Why it is not complete."""
    resumed: bool = False
    """It finished what an earlier run had begun, up to that run's ceiling."""
    failures: dict[str, SyncerError] = field(default_factory=dict)
    """Partitions that stopped, also of a cycle that its proof walk made complete."""

    @property
    def word(self) -> str:
        """``complete``, ``stopped`` or ``failed``, as ``status`` and the metrics say it."""
        if self.complete:
            return "complete"
        is_stopped = self.error is not None and self.error.verdict is Verdict.STOP
        return "stopped" if is_stopped else "failed"

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """What a one-shot command has to report of this cycle."""
        codes = {error.exit_code for error in self.failures.values()}
        if self.complete and codes:
            return frozenset({ExitCode.NOT_ALL_WELL})
        if self.error is not None:
            codes.add(self.error.exit_code)
        return frozenset(codes or {ExitCode.OK})


def worst(errors: Iterable[SyncerError]) -> SyncerError | None:
    """The error that decides the exit code, by the documented precedence."""
    ranked = {code: rank for rank, code in enumerate(EXIT_PRECEDENCE)}
    return min(errors, key=lambda error: ranked.get(error.exit_code, len(ranked)), default=None)


def exit_code_of(codes: Iterable[ExitCode]) -> ExitCode:
    """One exit code for several outcomes."""
    seen = set(codes)
    for code in EXIT_PRECEDENCE:
        if code in seen:
            return code
    return next((code for code in seen if code is not ExitCode.OK), ExitCode.OK)
