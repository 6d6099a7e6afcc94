"""Every fault of the source, in backfill and in delta: what it costs, and that it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty import PATIENT, broken_promises, change_more_than_a_page, small_mirror

from syncer.errors import (
    ExitCode,
    PageTooLarge,
    SourceError,
    SourceLimitReached,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    WalkBroken,
)
from syncer.simulator.faults import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from support.mirror import Done, Mirror

JWT = "SCENARIO_SDK_JWT"
IMPATIENT = {"source__request_timeout_s": 0.2, "limits__retry_deadline_s": 1e-6}
"""One attempt, since each of them is waited for."""


@dataclass(frozen=True)
class Stop:
    """How a cycle ends while a fault lasts."""

    error: type[SourceError]
    exit_code: int
    struck: range
    """How often the fault strikes until then."""
    keys: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)


ONCE, TWICE, RETRIED = range(1, 2), range(2, 3), range(1, 1_000_000)
"""On a slow machine the first attempt may outlast the deadline; that there are others is shown by
what passes within it (``PASSING``)."""

THROTTLED = Stop(SourceThrottled, 7, RETRIED)
UNAVAILABLE = Stop(SourceUnavailable, 7, RETRIED)
TIMED_OUT = Stop(SourceUnavailable, 7, ONCE, keys=IMPATIENT)
REJECTED = Stop(SourceRejected, 5, ONCE)
REFUSED = Stop(SourceRefused, 6, ONCE)
BROKEN = Stop(WalkBroken, 5, ONCE)

STOPS = {
    "rate-limit-seconds": THROTTLED,
    "rate-limit-date": THROTTLED,
    "rate-limit-ms": THROTTLED,
    "rate-limit-bare": THROTTLED,  # how long to wait is ours to say
    "rate-limit-body": THROTTLED,
    "plan-limit": Stop(SourceLimitReached, 5, ONCE),
    "error-400": REJECTED,
    "error-404": REJECTED,
    "error-408": UNAVAILABLE,
    "error-500": UNAVAILABLE,
    "error-502-html": UNAVAILABLE,
    "error-503": UNAVAILABLE,
    "unauthorized": REFUSED,
    "forbidden": REFUSED,
    # The token is read anew and tried once more.
    "expired-jwt": Stop(SourceRefused, 6, TWICE, credentials={JWT: "a.b.c"}),
    "html-200": UNAVAILABLE,
    "invalid-json": UNAVAILABLE,
    "invalid-utf8": UNAVAILABLE,
    "no-models-key": UNAVAILABLE,
    "rejected-token": REJECTED,
    # A token is not followed where the span that it crosses has ended.
    "repeated-token": Stop(WalkBroken, 5, range(1, 3)),
    "endless-empty-pages": Stop(WalkBroken, 5, range(21, 22)),
    "unsorted-page": BROKEN,
    "out-of-bounds-row": BROKEN,
    # A page of three models, then of one.
    "oversized-page": Stop(PageTooLarge, 5, TWICE, keys={"limits__max_page_bytes": 100_000}),
    "reset-before-headers": UNAVAILABLE,
    "reset-after-headers": UNAVAILABLE,
    "truncated-body": UNAVAILABLE,
    "dripping-body": TIMED_OUT,
    "hanging-body": TIMED_OUT,
}
"""Faults that no cycle is complete with."""

HARMLESS = (
    "empty-page-with-token",
    "short-pages",
    "duplicate-rows",
    "empty-string-end-token",
    "null-end-token",
    "no-date-header",
    "clock-ahead-10m",
    "clock-behind-10m",
)
"""Faults that every cycle is complete in spite of."""

PASSING = [
    name
    for name, stop in STOPS.items()
    if stop in (THROTTLED, UNAVAILABLE) and name != "rate-limit-bare"
]

HINTS = ("rate-limit-seconds", "rate-limit-date", "rate-limit-ms", "rate-limit-body")


def test_every_fault_of_the_simulator_is_struck() -> None:
    assert FAULTS.keys() == STOPS.keys() | set(HARMLESS)


async def strike(mirror: Mirror, fault: str, *, after: int, **keys: object) -> tuple[Done, int]:
    """``syncer sync`` while the fault lasts, and how often it struck; the first requests pass."""
    source, first, struck = mirror.source, len(mirror.source.requests) + after, 0

    def strikes(_: object) -> bool:
        nonlocal struck
        is_hit = len(source.requests) >= first
        struck += is_hit
        return is_hit

    source.add_fault(fault, when=strikes)
    done = await mirror.sync(**keys)
    source.clear_faults()
    return done, struck


@pytest.mark.parametrize("fault", STOPS)
async def test_while_a_fault_lasts_nothing_is_claimed_and_once_it_is_over_nothing_is_missing(
    migrated_database_url: str, fault: str
) -> None:
    """P1, P2, P8: whatever comes back instead of a page, at once or after the first one."""
    stop = STOPS[fault]
    async with small_mirror(migrated_database_url) as mirror:
        mirror.credentials = stop.credentials
        for _ in ("backfill", "delta"):
            for after in (0, 1):
                done, struck = await strike(mirror, fault, after=after, **stop.keys)

                assert {stop.error} == {type(error) for error in done.catalog.errors}
                assert stop.exit_code == done.exit_code
                assert struck in stop.struck
                assert [] == await broken_promises(mirror)
            done = await mirror.sync(**PATIENT)

            assert ExitCode.OK == done.exit_code
            assert [] == await mirror.differences()
            change_more_than_a_page(mirror)


@pytest.mark.parametrize("fault", HARMLESS)
async def test_what_a_cycle_can_bear_costs_no_model_while_it_lasts(
    migrated_database_url: str, fault: str
) -> None:
    """P1, P8: odd pages, odd ends and odd clocks are no reason to stop, or to miss anything."""
    async with small_mirror(migrated_database_url) as mirror:
        for _ in ("backfill", "delta", "another delta"):
            done, struck = await strike(mirror, fault, after=0)

            assert struck
            assert ExitCode.OK == done.exit_code
            assert [] == await mirror.differences()
            change_more_than_a_page(mirror)


async def test_what_passes_within_the_retry_deadline_costs_the_cycle_nothing(
    migrated_database_url: str,
) -> None:
    """P1, P6: each fault that is worth a retry strikes three times, in backfill and in delta."""
    async with small_mirror(migrated_database_url, **PATIENT, source__page_size=7) as mirror:
        for fault in PASSING:
            for cycle in (mirror.refill, mirror.sync):
                mirror.source.add_fault(fault, 3)
                done = await cycle()

                assert ExitCode.OK == done.exit_code, fault
                assert [] == await mirror.differences(), fault
                edit_all(mirror)


def edit_all(mirror: Mirror) -> None:
    """A backlog without a new model, so that a backfill stays as short as it is."""
    now = mirror.time.advance(60)
    for model_id in mirror.source.live_models():
        mirror.source.update_model(model_id, name=f"as of {now:%H:%M}")
    mirror.time.advance(1)


async def test_a_page_over_the_byte_cap_is_read_in_halves(migrated_database_url: str) -> None:
    """P6: two models are too much, one is not, and none is left out."""
    options = {"oversized_row_bytes": 50_000}
    keys = {"limits__max_page_bytes": 80_000}
    async with small_mirror(migrated_database_url, options=options, **keys) as mirror:
        for _ in ("backfill", "delta"):
            done, _struck = await strike(mirror, "oversized-page", after=0)

            assert ExitCode.OK == done.exit_code
            assert [] == await mirror.differences()
            change_more_than_a_page(mirror)


@pytest.mark.parametrize("fault", HINTS)
async def test_the_pause_that_a_429_asks_for_is_kept_however_it_is_written(
    migrated_database_url: str, fault: str
) -> None:
    """P7: seconds, a date, milliseconds or the body."""
    options = {"retry_after_s": 100}
    async with small_mirror(migrated_database_url, options=options, **PATIENT) as mirror:
        mirror.source.add_fault(fault, 1)
        began_s = mirror.clock.monotonic()
        done = await mirror.backfill()

        assert ExitCode.OK == done.exit_code
        assert mirror.clock.monotonic() - began_s >= 100
        (pause_s,) = [
            event["delay_s"] for event in mirror.events if event["event"] == "source_throttled"
        ]
        assert 10 < pause_s <= 100


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "plan-limit"])
async def test_a_refusal_that_comes_and_goes_is_over_when_it_is_over(
    migrated_database_url: str, fault: str
) -> None:
    """P8: in one process that lives on, as the daemon does, each cycle tells how it is now."""
    async with small_mirror(migrated_database_url) as mirror, mirror.process() as runtime:
        for _ in range(3):
            mirror.source.add_fault(fault)
            refused = await mirror.work(runtime)
            mirror.source.clear_faults()
            accepted = await mirror.work(runtime)

            assert (STOPS[fault].exit_code, 0) == (refused.exit_code, accepted.exit_code)
            assert 1 == refused.requests
            assert [] == await mirror.differences()
            change_more_than_a_page(mirror)


async def test_a_jwt_that_runs_out_within_a_cycle_is_read_anew_from_its_file(
    migrated_database_url: str, tmp_path: Path
) -> None:
    """A token lives a minute: the cycle goes on with the one that lies there by then."""
    path = tmp_path / "jwt"
    async with small_mirror(migrated_database_url) as mirror:
        source, time = mirror.source, mirror.time
        mirror.credentials = {f"{JWT}_FILE": str(path)}
        path.write_text(source.issue_jwt(60))

        expires_at = time.advance(0)

        def age(_: object) -> None:
            time.advance(61)

        def renew(_: object) -> bool:
            nonlocal expires_at
            if time.now >= expires_at:
                expires_at = time.now + timedelta(seconds=60)
                path.write_text(source.issue_jwt(60))
            return False

        for _ in ("backfill", "delta"):
            asked = len(source.requests)
            source.on_request = age
            # Looks at each request after its token, and before its answer.
            source.add_fault("error-503", when=renew)
            done = await mirror.sync()
            source.clear_faults()

            assert ExitCode.OK == done.exit_code
            assert {200, 403} == {each.status for each in source.requests[asked:]}
            assert [] == await mirror.differences()
            source.on_request = None
            change_more_than_a_page(mirror)


async def test_a_jwt_file_that_is_away_when_it_is_needed_is_a_refusal_and_no_misconfiguration(
    migrated_database_url: str, tmp_path: Path
) -> None:
    """P8: who renews a file may do it by removing it first; that is waited out."""
    path = tmp_path / "jwt"
    path.write_text("a.b.c")
    async with small_mirror(migrated_database_url) as mirror:
        mirror.credentials = {f"{JWT}_FILE": str(path)}

        def remove(_: object) -> bool:
            path.unlink()
            return True

        for _ in ("backfill", "delta"):
            mirror.source.add_fault("expired-jwt", 1, when=remove)
            done = await mirror.sync()
            path.write_text("a.b.c")

            assert ExitCode.REFUSED == done.exit_code
            assert {SourceRefused} == {type(error) for error in done.catalog.errors}
            assert ExitCode.OK == (await mirror.sync()).exit_code
            assert [] == await mirror.differences()
            change_more_than_a_page(mirror)
