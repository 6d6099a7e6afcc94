"""``syncer changes``: each change once in order, whatever happens to the database meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import pytest
from support.changes import drop_changes, insert_changes
from support.command import Place, Running
from support.postgres import execute
from support.tcp_proxy import address_of, proxy_to, through

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MORE_THAN_A_BATCH = 450


def printed(running: Running) -> list[dict[str, Any]]:
    """Whole lines only: the last one may still be on its way."""
    return [json.loads(line) for line in running.stdout.split("\n")[:-1]]


def ids(lines: str) -> list[int]:
    return [json.loads(line)["change_id"] for line in lines.splitlines()]


async def until_printed(running: Running, wanted: list[int]) -> None:
    await running.until(
        lambda: [each["change_id"] for each in printed(running)] == wanted, f"changes {wanted}"
    )


async def test_each_change_is_one_json_object_a_line_in_order(
    place: Place, migrated_database_url: str
) -> None:
    inserted = await insert_changes(migrated_database_url, MORE_THAN_A_BATCH)
    ended = await place.run("changes", "--json")
    first = json.loads(ended.stdout.splitlines()[0])

    assert (ended.code, ended.stderr) == (0, "")
    assert inserted == ids(ended.stdout)
    assert RFC_3339.fullmatch(first.pop("committed_at"))
    assert first == {
        "change_id": inserted[0],
        "catalog": "public",
        "id": "m1",
        "operation": "update",
        "changed_fields": ["name"],
        "before": {"name": "old 1"},
        "after": {"name": "new 1"},
        "source_updated_at": "2025-03-01T12:00:00.123000Z",
    }


async def test_people_read_a_line_for_each_change(place: Place, migrated_database_url: str) -> None:
    await insert_changes(migrated_database_url)
    ended = await place.run("changes")

    assert (ended.code, ended.stderr) == (0, "")
    assert re.fullmatch(
        r" +\d+  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  update   public  m1  "
        r'name "old 1" -> "new 1"\n',
        ended.stdout,
    )


async def test_reading_goes_on_after_the_change_that_is_named(
    place: Place, migrated_database_url: str
) -> None:
    inserted = await insert_changes(migrated_database_url, 5)
    ended = await place.run("changes", "--json", "--after", inserted[1], "--limit", 2)
    at_the_end = await place.run("changes", "--json", "--after", inserted[-1])

    assert (ended.code, ids(ended.stdout)) == (0, inserted[2:4])
    assert (at_the_end.code, at_the_end.stdout, at_the_end.stderr) == (0, "", "")


async def test_only_the_changes_of_the_named_catalogs_are_printed(
    place: Place, migrated_database_url: str
) -> None:
    """One that only the database knows counts, too; one that nobody knows is a mistake."""
    await execute(
        migrated_database_url, "INSERT INTO syncer.catalog (catalog, scope) VALUES ('ours', '{}')"
    )
    await insert_changes(migrated_database_url, MORE_THAN_A_BATCH)
    ours = await insert_changes(migrated_database_url, 3, catalog="ours")
    theirs = await insert_changes(migrated_database_url, 1, catalog="theirs")
    ended = await place.run("changes", "--json", "--catalog", "ours", "--limit", 2)
    unknown = await place.run("changes", "--catalog", "public", "--catalog", "theirs")

    assert (ended.code, ids(ended.stdout)) == (0, ours[:2])
    assert theirs
    assert "there is no catalog 'theirs'" in unknown.failed_with(2)


async def test_what_retention_may_have_dropped_is_said_and_the_rest_is_printed(
    place: Place, migrated_database_url: str
) -> None:
    inserted = await insert_changes(migrated_database_url, 6)
    await drop_changes(migrated_database_url, up_to=inserted[3])
    gone = await place.run("changes", "--json", "--after", inserted[1])
    kept = await place.run("changes", "--json", "--after", inserted[3])
    beyond = await place.run("changes", "--json", "--after", inserted[-1] + 1000)

    assert ids(gone.stdout) == ids(kept.stdout) == inserted[4:]
    assert [line["event"] for line in gone.events] == ["changes_expired"]
    assert "no longer kept" in gone.events[0]["reason"]
    assert kept.stderr == ""
    assert "another database" in beyond.events[0]["hint"]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_follower_prints_what_comes_until_a_signal(
    place: Place, migrated_database_url: str, signum: signal.Signals, code: int
) -> None:
    inserted = await insert_changes(migrated_database_url, 2)
    async with place.start("changes", "--follow", "--json") as running:
        await until_printed(running, inserted)
        inserted += await insert_changes(migrated_database_url, 3)
        await until_printed(running, inserted)
        ended = await running.stop(signum)

    assert (ended.code, ended.stderr) == (code, "")
    assert inserted == ids(ended.stdout)


async def test_a_follower_ends_at_its_limit(place: Place, migrated_database_url: str) -> None:
    async with place.start("changes", "--follow", "--json", "--limit", 2) as running:
        inserted = await insert_changes(migrated_database_url, 3)
        ended = await running.end()

    assert (ended.code, ids(ended.stdout)) == (0, inserted[:2])


async def test_a_follower_outlives_the_database_and_misses_nothing(
    place: Place, migrated_database_url: str
) -> None:
    """Cut, refused and ended: what changed meanwhile comes once it is back, after the last one."""
    url = migrated_database_url
    async with proxy_to(address_of(url)) as proxy:
        place.set(database__url=through(proxy, url))
        await proxy.restore()
        inserted = await insert_changes(url, 2)
        async with place.start("changes", "--follow", "--json") as running:
            await until_printed(running, inserted)
            await proxy.cut()
            await running.until_event("database_unavailable", 2)
            inserted += await insert_changes(url, MORE_THAN_A_BATCH)
            await proxy.restore()
            await until_printed(running, inserted)
            await running.until_event("changes_resumed", after=inserted[-1])
            await execute(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'syncer changes'",
            )
            await running.until_event("changes_resumed", 2)
            inserted += await insert_changes(url, 2)
            await until_printed(running, inserted)
            ended = await running.stop()

    assert ended.code == 143
    assert "Traceback" not in ended.stderr
    assert {inserted[1]} == {line["after"] for line in ended.events[:2]}


async def test_a_follower_that_waits_for_the_database_ends_at_once_by_a_signal(
    place: Place, migrated_database_url: str
) -> None:
    async with proxy_to(address_of(migrated_database_url)) as proxy:
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        inserted = await insert_changes(migrated_database_url, 1)
        async with place.start("changes", "--follow", "--json") as running:
            await until_printed(running, inserted)
            await proxy.cut()
            await running.until_event("database_unavailable")
            ended = await running.stop(within_s=5)

    assert ended.code == 143
    assert "Traceback" not in ended.stderr


async def test_a_database_that_was_never_reached_ends_a_follower(bare_place: Place) -> None:
    bare_place.set(database__url="postgresql://somebody@127.0.0.1:1/nothing")

    (await bare_place.run("changes", "--follow")).failed_with(7)


@asynccontextmanager
async def piped(place: Place, *arguments: str) -> AsyncIterator[tuple[Process, BinaryIO]]:
    """A command that writes into a pipe, and the end that it is read from."""
    theirs = os.pipe()
    with os.fdopen(theirs[0], "rb", buffering=0) as reader:
        process = await place.spawn(*arguments, stdout=theirs[1])
        try:
            yield process, reader
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.mark.parametrize("follow", [(), ("--follow",)], ids=["to the end", "following"])
@pytest.mark.parametrize("count", [2, 2000], ids=["nothing more to write", "a full pipe"])
async def test_a_reader_that_has_enough_ends_it_quietly(
    place: Place, migrated_database_url: str, follow: tuple[str, ...], count: int
) -> None:
    """As with ``| head -1``. A follower that has nothing to write notices it all the same."""
    inserted = await insert_changes(migrated_database_url, count)
    async with piped(place, "changes", "--json", *follow) as (process, reader):
        line = await asyncio.to_thread(reader.readline)
        reader.close()
        async with asyncio.timeout(15):
            _, stderr = await process.communicate()

        assert inserted[0] == json.loads(line)["change_id"]
        assert (process.returncode, stderr) == (0, b"")


async def test_a_reader_that_reads_no_more_does_not_keep_a_follower_from_ending(
    place: Place, migrated_database_url: str
) -> None:
    """The pipe is full, and nobody takes anything: a signal still ends it."""
    await insert_changes(migrated_database_url, 2000)
    async with piped(place, "changes", "--json", "--follow") as (process, reader):
        await asyncio.to_thread(reader.read, 1)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            code = await process.wait()

        assert 143 == code


async def test_a_full_disk_is_said_and_nothing_is_passed_over_in_silence(
    place: Place, migrated_database_url: str
) -> None:
    await insert_changes(migrated_database_url)
    full = os.open("/dev/full", os.O_WRONLY)
    process = await place.spawn("changes", "--json", "--follow", stdout=full)
    _, stderr = await process.communicate()

    assert 1 == process.returncode
    assert b"error: standard output cannot be written to: no space left" in stderr
    assert b"Traceback" not in stderr
