"""Details through the real command: kept through kills, shown by status, removed by forget."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from support.command import log_lines
from support.stored import fetch_value

if TYPE_CHECKING:
    from support.command import Place, Running
    from support.serving import Serve

CONFIG = '[[catalog]]\nname = "public"\ndetails = true\npoll_interval_s = 0.2\n'
STORED = "SELECT count(*) FROM scenario.model_details"


def fetched(daemon: Running) -> int:
    """Details that it said it has fetched so far."""
    said = [each for each in log_lines(daemon.stderr) if each["event"] == "details_fetched"]
    return sum(each["fetched"] for each in said)


async def test_a_sync_says_how_complete_the_details_are_and_so_does_status(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(CONFIG)
    async with serve(models=30) as source:
        gone = next(iter(source.live_models()))
        source.show_retrieved(gone, None)
        ended = await place.run("sync")
        status = (await place.run("status", "--json")).document

        assert ended.code == 5, ended.stderr
        assert "details: 29 fetched; 29 stored, 1 set aside, 0 still open" in ended.stdout
        assert status["catalogs"][0]["details"] == {"wanted": 30, "stored": 29, "failed": 1}
        assert await fetch_value(migrated_database_url, STORED) == 29


async def test_a_sync_that_is_killed_goes_on_where_it_was(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(CONFIG)
    async with serve(models=60, latency_ms=20) as source:

        async def has_some() -> bool:
            return int(await fetch_value(migrated_database_url, STORED)) >= 10

        async with place.start("sync") as running:
            await running.until(has_some, "some details")
            running.process.kill()
            await running.process.wait()
        killed_with = await fetch_value(migrated_database_url, STORED)
        ended = await place.run("sync")

        assert ended.code == 0, ended.stderr
        assert await fetch_value(migrated_database_url, STORED) == 60
        asked = Counter(
            each.path for each in source.requests if each.path.startswith("/v1/models/")
        )
        assert killed_with < 60
        # Of what was under way when it was killed, and of nothing else.
        assert len(asked) == 60
        assert sum(asked.values()) - 60 <= 8


async def test_the_daemon_fetches_what_changes_beside_its_polls(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(CONFIG)
    async with serve(models=20) as source, place.start("run") as daemon:

        async def has_all() -> bool:
            return int(await fetch_value(migrated_database_url, STORED)) == 20

        await daemon.until(has_all, "all details")
        changed = next(iter(source.live_models()))
        source.update_model(changed, name="renamed")

        async def is_new() -> bool:
            name = f"SELECT body ->> 'name' FROM scenario.model_details WHERE id = '{changed}'"  # noqa: S608
            return bool(await fetch_value(migrated_database_url, name) == "renamed")

        await daemon.until(is_new, "the new details")
        await daemon.until(lambda: fetched(daemon) >= 21, "a word of them")
        ended = await daemon.stop()

        assert ended.code == 0, ended.stderr
        assert fetched(daemon) == 21


async def test_polls_are_on_time_while_hundreds_of_details_are_open(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """The budget is spent on details in no time; what polls need of it is left to them."""
    place.write_config(CONFIG.replace("= 0.2", "= 1.5"))
    place.set(source__max_requests_per_minute=60)
    async with serve(models=400) as source, place.start("run") as daemon:

        async def has_polled() -> bool:
            return sum(each.path == "/v1/models" for each in source.requests) >= 9

        await daemon.until(has_polled, "some polls")
        polled = [each.at for each in source.requests if each.path == "/v1/models"]
        stored = await fetch_value(migrated_database_url, STORED)
        ended = await daemon.stop()

        assert ended.code == 0, ended.stderr
        gaps_s = [(b - a).total_seconds() for a, b in itertools.pairwise(polled)]
        assert max(gaps_s) < 4
        assert 0 < stored < 40


async def test_a_deadline_holds_also_while_details_wait_for_the_budget(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """The next token is a minute away, the deadline is not."""
    place.write_config(CONFIG)
    place.set(source__max_requests_per_minute=10)
    async with serve(models=30):
        ended = await place.run("backfill", "--deadline", "2")

        assert ended.code == 7, ended.stderr
        assert "still open" in ended.stdout
        assert 0 < await fetch_value(migrated_database_url, STORED) < 10
        assert ended.seconds < 20


async def test_a_plan_names_the_requests_of_the_details(place: Place, serve: Serve) -> None:
    place.write_config(CONFIG)
    async with serve(models=30) as source:
        unknown = await place.run("backfill", "--plan")
        await place.run("backfill")
        changed = next(iter(source.live_models()))
        source.update_model(changed, name="renamed")
        place.write_config(CONFIG.replace("details = true", "details = false"))
        await place.run("sync")
        without = await place.run("backfill", "--plan", "--json")
        place.write_config(CONFIG)
        known = await place.run("backfill", "--plan", "--json")
        shown = await place.run("backfill", "--plan")

        assert "details: one request for each model, after all others" in unknown.stdout
        assert without.document["catalogs"][0]["detail_requests"] == 0
        assert known.document["catalogs"][0]["detail_requests"] == 1
        assert "details: 1 request, after all others" in shown.stdout
