"""``syncer changes``: every change once or more, in order, whoever dies in between."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from support.command import SYNCER, log_lines
from support.stored import fetch
from support.tcp_proxy import address_of, proxy_to, through

if TYPE_CHECKING:
    from support.command import Place, Running
    from support.serving import Serve

KEYS = {
    *("change_id", "catalog", "id", "operation", "changed_fields", "before", "after"),
    *("source_updated_at", "committed_at"),
}


def printed(running: Running) -> list[dict[str, Any]]:
    """The whole lines so far."""
    return [
        json.loads(line) for line in running.stdout.splitlines(keepends=True) if line[-1:] == "\n"
    ]


async def test_each_change_is_one_line_and_can_be_gone_on_from(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=12) as source:
        await place.run("sync")
        first = await place.run("changes", "--json")
        changed = next(iter(source.live_models()))
        source.update_model(changed, name="renamed")
        await place.run("sync")
        lines = [json.loads(line) for line in first.stdout.splitlines()]
        rest = await place.run("changes", "--json", "--after", str(lines[-1]["change_id"]))
        people = await place.run("changes", "--after", str(lines[-1]["change_id"]))

    assert first.code == 0, first.stderr
    assert [each["operation"] for each in lines] == ["insert"] * 12
    assert all(each.keys() == KEYS for each in lines)
    assert sorted(each["change_id"] for each in lines) == [each["change_id"] for each in lines]
    (update,) = (json.loads(line) for line in rest.stdout.splitlines())
    assert (update["id"], update["operation"]) == (changed, "update")
    assert update["changed_fields"] == ["name", "updatedAt"]
    assert update["after"]["name"] == "renamed"
    assert update["before"].keys() == update["after"].keys()
    assert people.stdout.count("\n") == 1
    assert '-> "renamed"' in people.stdout


async def test_a_limit_and_a_catalog_narrow_what_is_printed(place: Place, serve: Serve) -> None:
    async with serve(models=12):
        await place.run("sync")
        few = await place.run("changes", "--json", "--limit", "5")
        none = await place.run("changes", "--json", "--catalog", "other")

    assert few.stdout.count("\n") == 5
    assert "there is no catalog 'other'" in none.failed_with(2)


async def test_a_follower_hears_of_each_commit_and_ends_by_a_signal(
    place: Place, serve: Serve
) -> None:
    async with serve(models=6) as source:
        await place.run("sync")
        async with place.start("changes", "--follow", "--json") as running:
            await running.until(lambda: len(printed(running)) == 6, "what is there")
            removed = next(iter(source.live_models()))
            source.update_model(removed, name="renamed")
            await place.run("sync")
            await running.until(lambda: len(printed(running)) == 7, "what came later")
            ended = await running.stop()

    assert ended.code == 143
    assert "Traceback" not in ended.stderr


async def test_a_follower_outlives_the_database_and_skips_nothing(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=4) as source:
        await place.run("sync")
        async with proxy_to(address_of(migrated_database_url)) as proxy:
            await proxy.restore()
            place.set(database__url=through(proxy, migrated_database_url))
            async with place.start("changes", "--follow", "--json") as running:
                await running.until(lambda: len(printed(running)) == 4, "what is there")
                await proxy.cut()
                place.set(database__url=migrated_database_url)
                source.update_model(next(iter(source.live_models())), name="while it was away")
                await place.run("sync")
                await running.until_event("database_unavailable")
                await proxy.restore()
                await running.until(lambda: len(printed(running)) == 5, "what it missed")
                ended = await running.stop()

    ids = [each["change_id"] for each in map(json.loads, ended.stdout.splitlines())]
    assert ids == sorted(set(ids))
    assert [each["event"] for each in log_lines(ended.stderr)].count("changes_resumed") == 1


async def test_a_reader_that_has_enough_ends_it_quietly(place: Place, serve: Serve) -> None:
    async with serve(models=300):
        await place.run("sync")
        ended = subprocess.run(  # noqa: ASYNC221, S602 - a pipe as people write it
            f"{SYNCER} changes --json | head -n 2",
            shell=True,
            env=place.environment | {"PATH": os.defpath},
            cwd=place.home,
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.stdout.count("\n") == 2
    assert "Traceback" not in ended.stderr
    assert "error" not in ended.stderr


async def test_who_has_read_less_than_is_kept_is_told(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=12):
        await place.run("sync")
        await fetch(migrated_database_url, "DELETE FROM scenario.model_changes WHERE change_id < 9")
        ended = await place.run("changes", "--json", "--after", "3")

    assert ended.code == 0
    (said,) = (each for each in log_lines(ended.stderr) if each["event"] == "changes_expired")
    assert said["oldest_id"] == 9


@pytest.mark.parametrize("arguments", [("--after", "-1"), ("--limit", "0"), ("--after", "x")])
async def test_impossible_arguments_are_usage_errors(
    place: Place, arguments: tuple[str, ...]
) -> None:
    ended = await place.run("changes", *arguments)

    assert ended.code == 2
