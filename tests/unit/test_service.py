"""What a service manager is told, heard at a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.manager import Ear, listening
from support.virtual_clock import VirtualClock

from syncer.crawl import StopSignal
from syncer.errors import ConfigError, SchemaMismatch, Stopped, StoreUnavailable
from syncer.service import Notifier, Supervision, summarise, watchdog_interval
from syncer.service.supervision import ANSWER_WITHIN_S, STATUS_INTERVAL_S, TICK_S


@pytest.fixture(name="ear")
def ear_fixture(tmp_path: Path) -> Iterator[Ear]:
    with listening(str(tmp_path / "notify")) as ear:
        yield ear


@pytest.fixture(name="clock")
def clock_fixture() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(name="service")
def service_fixture(ear: Ear, clock: VirtualClock) -> Supervision:
    return Supervision(clock, Notifier(ear.address))


def fill(ear: Ear) -> int:
    """Send until nobody can send any more, as if the manager did not read."""
    sent = 0
    while True:
        # One socket each: a sender that sends much is stopped before the receiver is full.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            try:
                channel.sendto(b"FILLER=1", ear.address)
            except BlockingIOError:
                return sent
        sent += 1


def catalog(**facts: Any) -> dict[str, Any]:
    defaults = {
        "name": "public",
        "phase": "idle",
        "live_models": 709,
        "freshness_s": 12.0,
        "quarantined_models": 0,
        "removals_waiting": 0,
        "lease": {"holder": "here:1"},
    }
    return defaults | facts


def line(*catalogs: dict[str, Any], ready: bool = True) -> str:
    reasons = [] if ready else ["catalog public: 899 s since the last complete cycle"]
    document = {"ready": ready, "reasons": reasons, "catalogs": list(catalogs)}
    return summarise(document, holder="here:1")


def test_a_message_reaches_a_socket_with_a_path(ear: Ear) -> None:
    assert Notifier(ear.address).send("READY=1", "STATUS=one\ntwo")

    assert ear.messages == [{"READY": "1", "STATUS": "one two"}]


def test_a_message_reaches_a_socket_with_an_abstract_name() -> None:
    with listening(f"@syncer-test-{os.getpid()}") as ear:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": ear.address})
        assert notifier.send("READY=1")

        assert ear.messages == [{"READY": "1"}]


@pytest.mark.parametrize(
    "address", ["", "vsock:2:1234", "relative/path", "/nowhere/at/all", "/" + 200 * "x", "/\0"]
)
def test_a_manager_that_is_not_there_stops_nothing(address: str) -> None:
    assert not Notifier(address).send("READY=1", keep=True)


def test_what_a_full_socket_did_not_take_goes_out_later_in_order(ear: Ear) -> None:
    notifier = Notifier(ear.address)
    assert fill(ear)
    assert not notifier.send("READY=1", keep=True)
    assert not notifier.send("WATCHDOG=1")
    assert not notifier.send("STOPPING=1", keep=True)
    assert ear.states == []
    assert notifier.flush()

    assert ear.states == ["READY", "STOPPING"]
    assert ear.of("WATCHDOG") == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
        ({}, None),
    ],
)
def test_a_sign_of_life_is_due_at_half_of_what_the_manager_waits(
    environ: Mapping[str, str], expected: float | None
) -> None:
    assert watchdog_interval(environ, 42) == expected


async def test_a_start_is_answered_when_the_first_round_is_up(
    ear: Ear, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        assert ear.states == []
        assert ear.status == "starting"
        service.up()
        service.up()

        assert ear.states == ["READY"]


async def test_a_start_is_answered_when_the_database_is_waited_for(
    ear: Ear, service: Supervision
) -> None:
    """At boot the database may come later: the manager must not wait for it."""
    async with service.kept(StopSignal()):
        service.waiting(StoreUnavailable("the database is away: connection refused"))

        assert ear.states == ["READY"]
        assert ear.status == "waiting: the database is away: connection refused"


async def test_a_start_is_answered_in_time_although_nothing_answers(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        await clock.advance(ANSWER_WITHIN_S - 1)
        assert ear.states == []
        await clock.advance(1)

        assert ear.states == ["READY"]


async def test_an_answer_that_was_not_taken_is_given_again(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        fill(ear)
        service.up()
        assert ear.states == []
        await clock.advance(TICK_S)

        assert ear.states == ["READY"]


async def test_what_only_an_operator_can_mend_is_said_and_raised_and_never_called_ready(
    ear: Ear, service: Supervision
) -> None:
    with pytest.raises(SchemaMismatch, match="behind"):
        async with service.kept(StopSignal()):
            raise SchemaMismatch("the schema is behind", hint="Run 'syncer migrate'.")

    assert ear.states == ["STOPPING"]
    assert ear.status == "stopping: the schema is behind. Run 'syncer migrate'."


async def test_what_failed_in_a_task_is_said_too(ear: Ear, service: Supervision) -> None:
    with pytest.raises(ExceptionGroup, match="unhandled"):
        async with service.kept(StopSignal()):
            raise ExceptionGroup("inner", [ExceptionGroup("x", [SchemaMismatch("it is ahead")])])

    assert ear.status.startswith("stopping: it is ahead")


async def test_a_long_reason_is_cut(ear: Ear, service: Supervision) -> None:
    async with service.kept(StopSignal()):
        service.rejected(ConfigError("many problems", hint=400 * "x"))

        assert ear.status.startswith("the earlier configuration stays: many problems. xxx")
        assert ear.status.endswith("x…")
        assert len(ear.status) < 400


async def test_a_reload_is_stamped_and_answered(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        service.up()
        await clock.advance(7.5)
        service.reloading()
        service.up()
        service.reloading()
        service.rejected(ConfigError("line 3 is wrong", hint="Correct\n it."))

        assert ear.states == ["READY", "RELOADING", "READY", "RELOADING", "READY"]
        assert ear.of("MONOTONIC_USEC") == ["7500000", "7500000"]
        assert ear.status == "the earlier configuration stays: line 3 is wrong. Correct it."


async def test_a_reload_is_answered_in_time_although_nothing_answers(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        service.up()
        service.reloading()
        await clock.advance(ANSWER_WITHIN_S)

        assert ear.states == ["READY", "RELOADING", "READY"]


async def test_a_stop_is_announced_once_and_nothing_is_promised_after_it(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    stop = StopSignal()
    async with service.kept(stop):
        service.up()
        stop.set(Stopped())
        await clock.settle()
        assert ear.states == ["READY", "STOPPING"]
        service.reloading()
        service.up()
        await clock.advance(ANSWER_WITHIN_S)

    assert ear.states == ["READY", "STOPPING"]
    assert ear.status == "stopping"


async def test_a_sign_of_life_is_given_while_healthy_only(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    healthy = True
    service.watchdog_s = 30.0
    service.is_healthy = lambda: healthy
    async with service.kept(StopSignal()):
        await clock.advance(60)
        assert len(ear.of("WATCHDOG")) == 3
        healthy = False
        await clock.advance(60)
        assert len(ear.of("WATCHDOG")) == 3
        healthy = True
        await clock.advance(30)

        assert len(ear.of("WATCHDOG")) == 4


async def test_without_a_watchdog_there_is_no_sign_of_life(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    async with service.kept(StopSignal()):
        await clock.advance(300)

        assert ear.of("WATCHDOG") == []


async def test_the_status_is_sent_when_it_changes_and_never_more_often_than_it_is_read(
    ear: Ear, clock: VirtualClock, service: Supervision
) -> None:
    models, reads = 1, 0
    reasons: list[str] = []

    def read() -> Mapping[str, Any]:
        nonlocal reads
        reads += 1
        catalogs = [catalog(live_models=models)]
        return {"ready": not reasons, "reasons": reasons, "catalogs": catalogs}

    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.report_forever(read, holder="here:1"))
        await clock.advance(3 * STATUS_INTERVAL_S)
        assert reads == 3
        assert ear.of("STATUS") == ["public: idle, 1 models, fresh"]
        models = 2
        await clock.advance(STATUS_INTERVAL_S)
        reasons.append("database: it is away")
        await clock.advance(STATUS_INTERVAL_S)
        task.cancel()

    assert ear.of("STATUS")[1:] == [
        "public: idle, 2 models, fresh",
        "not ready (database: it is away); public: idle, 2 models, fresh",
    ]


def test_a_crawl_that_stands_still_is_in_the_line() -> None:
    document = {"ready": True, "reasons": [], "catalogs": [catalog()]}
    said = summarise(document, holder="here:1", stalled={"public"})

    assert said == "public: idle, stands still, 709 models, fresh"


async def test_secrets_stay_out_of_the_status(ear: Ear, service: Supervision) -> None:
    service.say("asked https://host/x?Signature=abc123&Policy=def456")

    assert "abc123" not in ear.status
    assert "def456" not in ear.status
    assert ear.status


async def test_without_a_manager_nothing_is_read_and_nothing_runs(clock: VirtualClock) -> None:
    service = Supervision(clock, watchdog_s=1.0)

    def read() -> Mapping[str, Any]:
        raise AssertionError("read for nobody")

    async with service.kept(StopSignal()):
        before = asyncio.all_tasks()
        await service.report_forever(read, holder="here:1")

        assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("catalogs", "ready", "expected"),
    [
        ([catalog()], True, "public: idle, 709 models, fresh"),
        (
            [catalog(), catalog(name="own", phase="backfill", freshness_s=None)],
            True,
            "public: idle, 709 models, fresh; own: backfill, 709 models, never complete",
        ),
        ([catalog(freshness_s=899.0)], False, "not ready; public: idle, 709 models, 10 min old"),
        ([catalog(freshness_s=7_300.0)], True, "public: idle, 709 models, 2 h old"),
        ([catalog(freshness_s=200_000.0)], True, "public: idle, 709 models, 2 d old"),
        (
            [catalog(quarantined_models=2, removals_waiting=9, lease={"holder": "there:2"})],
            True,
            "public: idle, 709 models, fresh, 2 quarantined, 9 removals wait, standing by",
        ),
        ([catalog(phase="retired")], True, "no catalogs"),
    ],
)
def test_the_status_line_says_what_an_operator_looks_for(
    catalogs: list[dict[str, Any]], ready: bool, expected: str
) -> None:
    assert line(*catalogs, ready=ready) == expected


def test_many_catalogs_are_counted() -> None:
    text = line(*(catalog(name=f"c{number}") for number in range(11)))

    assert text.endswith("; 3 more")
    assert text.count("idle") == 8
