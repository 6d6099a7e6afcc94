"""
Everything that can go wrong, each with a verdict, an exit code and a next step.

    SyncerError
    ├─ ConfigError             fatal        exit 2   usage or configuration
    │  └─ CatalogPinned        fatal        exit 2   the catalog was first filled from elsewhere
    ├─ SourceError
    │  ├─ SourceUnavailable    retry        exit 7   timeouts, resets, 408, 5xx, no page in the body
    │  ├─ SourceThrottled      back off     exit 7   429; carries retry_after_s
    │  ├─ SourceRefused        fatal        exit 6   401, 403
    │  ├─ SourceRejected       partition    exit 5   400, 404, 410: this question is not answered
    │  ├─ SourceLimitReached   catalog      exit 5   429 PlanLimitReachedError: rests for this cycle
    │  ├─ PageTooLarge         partition    exit 5   over limits.max_page_bytes even with one model
    │  └─ WalkBroken           partition    exit 5   paging repeats itself, or breaks its own order
    ├─ StoreError
    │  ├─ StoreUnavailable     retry        exit 7   connection lost, starting, disk full, read-only
    │  ├─ StoreConflict        retry        exit 7   deadlock, serialisation, a key taken meanwhile
    │  ├─ CheckpointMoved      partition    exit 7   another run has moved this partition
    │  ├─ RowUnstorable        quarantine   exit 5   PostgreSQL refuses one row
    │  └─ SchemaMismatch       fatal        exit 3   behind, ahead, or another major version
    ├─ SweepRefused            partition    exit 5   removals that the guard holds back
    ├─ LeaseHeld               fatal        exit 4   names the holder
    ├─ LeaseLost               fatal        exit 4   somebody else holds it now
    ├─ Postponed               stop         exit 7   goes on by itself
    ├─ DeadlineReached         stop         exit 7   progress is kept
    └─ Stopped                 stop         exit 143   SIGTERM
       └─ Interrupted          stop         exit 130   SIGINT

The class docstring is the default message; every error has a hint, its own, its class's, or that
of its kind (a stop, a bug). Third-party exceptions are translated once, at the
edge, with ``raise … from``. An exception that is not in this tree is a bug (exit 1): it is
never retried and never quarantined.
Kind: pure.
"""

from __future__ import annotations

import enum
import inspect
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """Process exit codes; public contract (DESIGN §3)."""

    OK = 0
    BUG = 1
    USAGE = 2
    SCHEMA = 3
    LEASE_HELD = 4
    NOT_ALL_WELL = 5
    REFUSED = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_PRECEDENCE = (
    ExitCode.BUG,
    ExitCode.USAGE,
    ExitCode.SCHEMA,
    ExitCode.REFUSED,
    ExitCode.LEASE_HELD,
    ExitCode.UNAVAILABLE,
    ExitCode.NOT_ALL_WELL,
)
"""Several outcomes in one command: the first of these that occurred is the exit code."""


class Verdict(enum.Enum):
    """What the caller does about an error; decided by its class, nowhere else."""

    RETRY = "retry"
    BACK_OFF = "back_off"
    PARTITION = "partition"
    CATALOG = "catalog"
    QUARANTINE = "quarantine"
    FATAL = "fatal"
    STOP = "stop"


STOP_HINT = "Progress is kept, and the work goes on from there."
BUG_HINT = "This is a bug of syncer; please report it with the lines of the log before it."


class SyncerError(Exception):
    """something went wrong"""

    verdict: ClassVar[Verdict] = Verdict.FATAL
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "", **context: object) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.hint = hint or self.default_hint or self._hint_of_its_kind()
        self.context = {key: value for key, value in context.items() if value is not None}
        super().__init__(self.message)

    def _hint_of_its_kind(self) -> str:
        if self.verdict is Verdict.STOP:
            return STOP_HINT
        return BUG_HINT if self.exit_code is ExitCode.BUG else ""

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigError(SyncerError):
    """the configuration is not usable"""

    exit_code = ExitCode.USAGE
    default_hint = "Run 'syncer check --offline' to see every value and where it comes from."


class CatalogPinned(ConfigError):
    """the catalog was first filled from another source"""

    default_hint = (
        "Give the catalog another name, or run 'syncer backfill --restart --catalog NAME'."
    )


class SourceError(SyncerError):
    """the source did not answer as asked"""

    exit_code = ExitCode.UNAVAILABLE


class SourceUnavailable(SourceError):
    """the source is unavailable"""

    verdict = Verdict.RETRY
    default_hint = (
        "Progress is kept. 'syncer run' goes on by itself when the source answers; after any other "
        "command run the command again."
    )


class SourceThrottled(SourceError):
    """the source asked us to slow down (429)"""

    verdict = Verdict.BACK_OFF
    default_hint = "If this persists, lower source.max_requests_per_minute."

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        retry_after_s: float | None = None,
        **context: object,
    ) -> None:
        super().__init__(message, hint=hint, **context)
        self.retry_after_s = retry_after_s


class SourceRefused(SourceError):
    """the source refused the credentials"""

    exit_code = ExitCode.REFUSED
    default_hint = (
        "Check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET (or SCENARIO_SDK_JWT_FILE), "
        "then run 'syncer check'."
    )


class SourceRejected(SourceError):
    """the source rejected the request"""

    verdict = Verdict.PARTITION
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "Run 'syncer check' to see which parameters the source accepts."


class SourceLimitReached(SourceError):
    """the plan's limit is reached; the catalog rests until its next cycle"""

    verdict = Verdict.CATALOG
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "Waiting does not help; raise the plan's limit or sync less often."


class PageTooLarge(SourceError):
    """an answer is larger than limits.max_page_bytes"""

    verdict = Verdict.PARTITION
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "Raise limits.max_page_bytes, then run the command again."


class WalkBroken(SourceError):
    """the source's paging cannot be trusted"""

    verdict = Verdict.PARTITION
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "The watermark stays; the next cycle tries again. See 'syncer status'."


class StoreError(SyncerError):
    """the database did not do as asked"""

    exit_code = ExitCode.UNAVAILABLE


class StoreUnavailable(StoreError):
    """the database is unavailable"""

    verdict = Verdict.RETRY
    default_hint = (
        "Progress is kept. 'syncer run' goes on by itself when the database answers; after any "
        "other command run the command again."
    )


class StoreConflict(StoreError):
    """the transaction met another one"""

    verdict = Verdict.RETRY
    default_hint = (
        "Nothing of it was written. 'syncer run' tries again by itself; after any other command "
        "run the command again."
    )


class CheckpointMoved(StoreError):
    """another run has moved this partition"""

    verdict = Verdict.PARTITION
    default_hint = (
        "Nothing was written. 'syncer run' goes on from the stored checkpoint by itself; after any "
        "other command run the command again."
    )


class RowUnstorable(StoreError):
    """PostgreSQL cannot store this model"""

    verdict = Verdict.QUARANTINE
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "See 'syncer quarantine list' for the model and the reason."


class SchemaMismatch(StoreError):
    """the database schema does not fit this build"""

    exit_code = ExitCode.SCHEMA
    default_hint = "Run 'syncer migrate --dry-run' to see the steps, then 'syncer migrate'."


class SweepRefused(SyncerError):
    """more models are gone than one sweep may remove"""

    verdict = Verdict.PARTITION
    exit_code = ExitCode.NOT_ALL_WELL
    default_hint = "If that is right, run 'syncer sweep' with --allow-removals."


class LeaseHeld(SyncerError):
    """another process holds the lease"""

    exit_code = ExitCode.LEASE_HELD
    default_hint = "Stop that process, or let it do the work; 'syncer status' shows it."


class LeaseLost(SyncerError):
    """another process took the lease over"""

    exit_code = ExitCode.LEASE_HELD
    default_hint = (
        "Nothing of this process was written after that. 'syncer status' names who works on it "
        "now; 'syncer run' stands by, after any other command run the command again."
    )


class Postponed(SyncerError):
    """something more urgent goes first"""

    verdict = Verdict.STOP
    exit_code = ExitCode.UNAVAILABLE
    default_hint = "It goes on by itself."


class DeadlineReached(SyncerError):
    """the deadline was reached before the work was complete"""

    verdict = Verdict.STOP
    exit_code = ExitCode.UNAVAILABLE
    default_hint = "Progress is kept; run the same command again to go on from there."


class Stopped(SyncerError):
    """SIGTERM stopped the work before it was complete"""

    verdict = Verdict.STOP
    exit_code = ExitCode.TERMINATED
    default_hint = "Progress is kept; run the same command again to go on from there."


class Interrupted(Stopped):
    """an interrupt (Ctrl-C) stopped the work before it was complete"""

    exit_code = ExitCode.INTERRUPTED
