"""What a cycle did, and the exit code that follows (DESIGN §3)."""

from __future__ import annotations

import itertools

import pytest

from syncer.domain import CycleKind
from syncer.errors import (
    EXIT_PRECEDENCE,
    ConfigError,
    DeadlineReached,
    ExitCode,
    Interrupted,
    LeaseHeld,
    SchemaMismatch,
    SourceRefused,
    SourceUnavailable,
    Stopped,
    SyncerError,
    WalkBroken,
)
from syncer.outcome import CycleOutcome, Tally, exit_code_of, worst
from syncer.store.merging import CommitResult

PRECEDENCE = (1, 2, 3, 6, 4, 7, 5)
"""DESIGN §3: several outcomes: the first of these."""

ONE_EACH = {
    1: SyncerError("a bug"),
    2: ConfigError(),
    3: SchemaMismatch(),
    4: LeaseHeld(),
    5: WalkBroken(),
    6: SourceRefused(),
    7: SourceUnavailable(),
}


def outcome(
    error: SyncerError | None = None, *, complete: bool = False, **failures: SyncerError
) -> CycleOutcome:
    return CycleOutcome(
        "public", CycleKind.DELTA, complete=complete, tally=Tally(), error=error, failures=failures
    )


def test_the_precedence_is_the_documented_one() -> None:
    assert PRECEDENCE == EXIT_PRECEDENCE


@pytest.mark.parametrize("pair", [*itertools.combinations(PRECEDENCE, 2)])
def test_of_two_outcomes_the_first_by_precedence_is_the_exit_code(pair: tuple[int, int]) -> None:
    first, second = pair

    assert exit_code_of([ExitCode(second), ExitCode.OK, ExitCode(first)]) == first
    assert worst([ONE_EACH[second], ONE_EACH[first]]) is ONE_EACH[first]


def test_all_well_is_zero_and_so_is_nothing_at_all() -> None:
    assert exit_code_of([ExitCode.OK, ExitCode.OK]) == 0
    assert exit_code_of([]) == 0
    assert worst([]) is None


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_stop_alone_is_its_signals_code(code: ExitCode) -> None:
    assert exit_code_of([ExitCode.OK, code]) == code


def test_of_equals_the_first_error_is_told() -> None:
    first, second = WalkBroken("one"), WalkBroken("two")

    assert worst([first, second]) is first


def test_what_went_wrong_is_told_before_the_stop_that_followed() -> None:
    broken = WalkBroken()

    assert worst([Stopped(), broken]) is broken


def test_a_complete_cycle_is_ok() -> None:
    assert outcome(complete=True).exit_codes == {ExitCode.OK}


def test_a_word_says_how_a_cycle_ended() -> None:
    stopped = Interrupted("SIGTERM", exit_code=ExitCode.TERMINATED)

    assert outcome(complete=True).word == "complete"
    assert outcome(SourceUnavailable("away")).word == "failed"
    assert outcome().word == "failed"
    assert outcome(stopped).word == "stopped"


def test_a_cycle_that_its_proof_walk_made_complete_is_not_all_well() -> None:
    """Whatever stopped the partition: the mirror is complete, somebody should look."""
    ended = outcome(complete=True, partition=SourceUnavailable())

    assert ended.exit_codes == {ExitCode.NOT_ALL_WELL}


def test_an_incomplete_cycle_reports_its_error_and_its_failed_partitions() -> None:
    ended = outcome(DeadlineReached(), one=WalkBroken(), two=SourceRefused())

    assert ended.exit_codes == {
        ExitCode.UNAVAILABLE,
        ExitCode.NOT_ALL_WELL,
        ExitCode.REFUSED,
    }
    assert exit_code_of(ended.exit_codes) == ExitCode.REFUSED


def test_an_interrupted_cycle_reports_the_interrupt() -> None:
    assert outcome(Interrupted()).exit_codes == {ExitCode.INTERRUPTED}


def test_an_incomplete_cycle_without_a_known_error_reports_its_failures() -> None:
    assert outcome(one=WalkBroken()).exit_codes == {ExitCode.NOT_ALL_WELL}


def test_a_tally_adds_up_committed_pages() -> None:
    tally = Tally()
    tally.add(3, CommitResult(inserted=1, updated=1, quarantined=1))
    tally.add(4, CommitResult(restored=1, unchanged=2, stale=1, cycle_finished=True))
    tally.add(1, CommitResult(unchanged=1))

    assert tally == Tally(
        pages=3,
        models=8,
        inserted=1,
        updated=1,
        restored=1,
        unchanged=3,
        stale=1,
        quarantined=1,
        finished=True,
    )
