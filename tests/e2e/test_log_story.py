"""
Logs tell one story a cycle: which walk and why, what became of each partition, how it ended.

Read as an operator reads them, from real commands and a real daemon.
"""

from __future__ import annotations

import re
import signal
from itertools import groupby
from typing import Any

import pytest
from support.command import Ended, Place
from support.serving import Gate, Serve
from support.tcp_proxy import address_of, proxy_to, through

Line = dict[str, Any]

UNITLESS = {
    # Words and names.
    "timestamp", "level", "event", "catalog", "cycle", "kind", "partition", "strategy", "reason",
    "outcome", "error", "error_type", "hint", "migration", "signal", "holder", "fields", "model",
    "sqlstate", "warning", "logger", "message",
    # Numbers of what the key names.
    "epoch", "attempt", "attempts", "status", "pages", "models", "inserted", "updated", "restored",
    "unchanged", "stale", "quarantined", "rewound", "missed", "unannounced", "removed",
    "removals_waiting", "missed_by_filters", "estimated_requests", "page_size", "requests",
}  # fmt: skip
UNITS = re.compile(r"_(s|ms|bytes|at|per_s)$")
NOISY = {"page_committed", "partition_started", "lease_released"}
"""One a page, or of no use to who is not looking for a bug: debug."""


def stories(ended: Ended) -> list[list[Line]]:
    """The lines of each cycle, in the order of their first ones."""
    lines = [line for line in ended.events if "cycle" in line]
    order = list(dict.fromkeys(line["cycle"] for line in lines))
    return [[line for line in lines if line["cycle"] == cycle] for cycle in order]


def events(story: list[Line]) -> list[str]:
    return [line["event"] for line in story]


def assert_is_one_story(story: list[Line]) -> None:
    """One catalog, one kind, one end, and that is the last line."""
    assert len({(line["catalog"], line["kind"]) for line in story}) == 1
    ends = [line for line in story if line["event"] in {"cycle_finished", "cycle_failed"}]
    assert ends == story[-1:]
    assert story[-1]["duration_s"] >= 0


@pytest.fixture(name="paged")
def paged_fixture(place: Place) -> Place:
    place.set(source__page_size=50, limits__retry_deadline_s=0.5)
    return place


async def test_a_backfill_tells_which_walk_why_each_partition_and_the_end(
    paged: Place, serve: Serve
) -> None:
    async with serve(models=230):
        ended = await paged.run("backfill")
    (story,) = stories(ended)
    first, *parts, last = story

    assert_is_one_story(story)
    assert (first["event"], first["kind"], first["strategy"]) == ("walk_chosen", "backfill", "time")
    assert first["reason"]
    assert {line["event"] for line in parts} == {"partition_finished"}
    assert (last["event"], last["outcome"]) == ("cycle_finished", "complete")
    assert last["inserted"] == sum(line["inserted"] for line in parts) == 230
    assert last["pages"] == sum(line["pages"] for line in parts)
    assert all(line["duration_s"] >= 0 for line in parts)


async def test_an_idle_poll_is_one_line(paged: Place, serve: Serve) -> None:
    async with serve(models=230):
        await paged.run("sync")
        ended = await paged.run("sync")
    (story,) = stories(ended)

    assert events(story) == ["cycle_finished"]
    assert story[0]["kind"] == "delta"
    assert (story[0]["inserted"], story[0]["updated"]) == (0, 0)
    # Nothing is said of what there was none of.
    assert story[0].keys() & {"quarantined", "rewound", "missed", "removed", "restored"} == set()
    assert len(ended.events) == 1


async def test_a_delta_with_a_backlog_tells_why_it_fanned_out(paged: Place, serve: Serve) -> None:
    async with serve(models=230) as source:
        await paged.run("sync")
        for model_id in list(source.live_models())[:120]:
            source.update_model(model_id, name="changed")
        ended = await paged.run("sync")
    (story,) = stories(ended)

    assert_is_one_story(story)
    assert events(story)[0] == "walk_chosen"
    assert "more changed than one page" in story[0]["reason"]
    assert (story[-1]["outcome"], story[-1]["updated"]) == ("complete", 120)


async def test_a_sweep_that_removes_says_how_many_once(paged: Place, serve: Serve) -> None:
    async with serve(models=230) as source:
        await paged.run("sync")
        for model_id in list(source.live_models())[:9]:
            source.remove_model(model_id)
        ended = await paged.run("sweep")
    (story,) = stories(ended)

    assert_is_one_story(story)
    assert (story[0]["event"], story[0]["reason"]) == ("walk_chosen", "it was asked for")
    assert [line["removed"] for line in story if "removed" in line] == [9]
    assert story[-1]["kind"] == "sweep"


async def test_a_sweep_that_the_guard_refuses_says_why_and_with_which_command_it_goes_on(
    paged: Place, serve: Serve
) -> None:
    async with serve(models=230) as source:
        await paged.run("sync")
        for model_id in list(source.live_models())[:150]:
            source.remove_model(model_id)
        ended = await paged.run("sweep")
    (story,) = stories(ended)
    (refused,) = [line for line in story if line["event"] == "sweep_refused"]

    assert_is_one_story(story)
    assert (refused["level"], refused["removals_waiting"]) == ("warning", 150)
    assert "--allow-removals 150" in refused["hint"]
    # Everything was compared, so that the sweep is complete; what waits is counted.
    assert (story[-1]["outcome"], story[-1]["removals_waiting"]) == ("complete", 150)


async def test_a_cycle_that_fails_says_so_once_with_why_and_what_to_do(
    paged: Place, serve: Serve
) -> None:
    async with serve(models=230) as source:
        await paged.run("sync")
        source.add_fault("error-503")
        ended = await paged.run("sync")
    (story,) = stories(ended)

    assert_is_one_story(story)
    # The first retry is news; the others would hide the rest.
    assert events(story) == ["retry_scheduled", "cycle_failed"]
    assert {line["level"] for line in story} == {"warning"}
    assert {line["error_type"] for line in story} == {"SourceUnavailable"}
    assert story[-1]["attempts"] > 1
    assert "run the command again" in story[-1]["hint"]
    assert "exception" not in story[-1]


async def test_every_retry_is_there_for_who_asks(paged: Place, serve: Serve) -> None:
    async with serve(models=230) as source:
        await paged.run("sync")
        source.add_fault("error-503")
        ended = await paged.run("--log-level", "debug", "sync")
    retries = [line for line in ended.events if line["event"] == "retry_scheduled"]
    (last,) = [line for line in ended.events if line["event"] == "cycle_failed"]

    assert [line["attempt"] for line in retries] == list(range(1, last["attempts"]))
    assert {line["level"] for line in retries[1:]} <= {"debug"}


async def test_pages_speak_at_debug_with_the_name_of_their_cycle(
    paged: Place, serve: Serve
) -> None:
    async with serve(models=230):
        quiet = await paged.run("sync")
        loud = await paged.run("--log-level", "debug", "backfill", "--restart")

    assert NOISY & {line["event"] for line in quiet.events} == set()
    pages = [line for line in loud.events if line["event"] == "page_committed"]
    finished = [line for line in loud.events if line["event"] == "cycle_finished"]
    assert {line["level"] for line in pages} == {"debug"}
    assert {line["cycle"] for line in pages} == {finished[0]["cycle"]}
    assert len(pages) == finished[0]["pages"]


async def test_who_is_stopped_has_not_failed(paged: Place, serve: Serve) -> None:
    paged.set(source__max_concurrency=1)
    async with serve(models=230) as source:
        gate = Gate(source, after=2)
        async with paged.start("run") as daemon:
            await daemon.until(lambda: gate.waiting, "a request that waits")
            ended = await daemon.stop()
    (story,) = stories(ended)

    assert_is_one_story(story)
    assert (story[-1]["event"], story[-1]["level"]) == ("cycle_finished", "info")
    assert story[-1]["outcome"] == "stopped"
    assert "SIGTERM" in story[-1]["reason"]
    assert {line["level"] for line in ended.events} == {"info"}
    assert ended.events[-1]["event"] == "shutdown_finished"


async def test_a_reload_in_the_middle_of_a_cycle_is_no_failure_either(
    paged: Place, serve: Serve
) -> None:
    paged.set(source__max_concurrency=1)
    async with serve(models=230) as source:
        gate = Gate(source, after=2)
        async with paged.start("run") as daemon:
            await daemon.until(lambda: gate.waiting, "a request that waits")
            daemon.send(signal.SIGHUP)
            await daemon.until_event("config_reloaded")
            gate.open()
            await daemon.until_poll()
            ended = await daemon.stop()
    first = stories(ended)[0]

    assert first[-1]["outcome"] == "stopped"
    assert "read again" in first[-1]["reason"]
    assert [line for line in ended.events if line["level"] == "warning"] == []


async def test_no_two_cycles_have_the_same_name(paged: Place, serve: Serve) -> None:
    """Not of one process, not of two."""
    async with serve(models=230):
        told = [story[0]["cycle"] for _ in range(3) for story in stories(await paged.run("sync"))]

    assert len(told) >= 4
    assert len(told) == len(set(told))


async def test_a_database_that_goes_away_is_said_and_not_shouted(
    paged: Place, serve: Serve, migrated_database_url: str
) -> None:
    """A line per process and look, not one per page, request and attempt."""
    paged.write_config('[[catalog]]\nname = "public"\npoll_interval_s = 0.1\n')
    paged.set(limits__retry_deadline_s=5, source__max_concurrency=8, source__page_size=10)
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=400) as source:
        paged.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        async with paged.start("run") as daemon:
            await daemon.until_poll()
            for model_id in list(source.live_models())[:200]:
                source.update_model(model_id, name="much to store")
            await proxy.cut()
            await daemon.until(
                lambda: daemon.count("retry_scheduled") + daemon.count("cycle_failed"), "a word"
            )
            await daemon.until_event("database_unavailable")
            await proxy.restore()
            polls = daemon.polls()
            await daemon.until_poll(polls + 2)
            ended = await daemon.stop()
    retried = [line for line in ended.events if line["event"] == "retry_scheduled"]

    assert all(line["attempt"] == 1 or line["delay_s"] >= 5 for line in retried)
    assert "Traceback" not in ended.stderr


async def test_every_number_in_a_line_has_its_unit_in_the_key(paged: Place, serve: Serve) -> None:
    async with serve(models=230) as source:
        told = [*(await paged.run("--log-level", "debug", "sync")).events]
        source.add_fault("rate-limit-seconds", 1)
        source.remove_model(next(iter(source.live_models())))
        told += (await paged.run("--log-level", "debug", "sweep")).events
        source.add_fault("error-500")
        told += (await paged.run("--log-level", "debug", "sync")).events
    keys = {key for line in told for key in line}

    assert {key for key in keys - UNITLESS if not UNITS.search(key)} == set()
    assert all(
        isinstance(value, int) or round(value, 3) == value
        for line in told
        for value in line.values()
        if isinstance(value, float)
    )


async def test_for_people_a_line_begins_with_what_it_is_of(paged: Place, serve: Serve) -> None:
    async with serve(models=230):
        ended = await paged.run("--log-format", "console", "backfill")
    lines = ended.stderr.splitlines()
    shape = re.compile(
        r"\S+Z \[info +\] (?P<event>\w+) +catalog=public cycle=public-1-1 kind=backfill "
    )
    found = [match["event"] for line in lines if (match := shape.match(line))]

    assert [event for event, _ in groupby(found)] == (
        ["walk_chosen", "partition_finished", "cycle_finished"]
    )
    assert len(found) == len(lines)
    assert "\x1b" not in ended.stderr
