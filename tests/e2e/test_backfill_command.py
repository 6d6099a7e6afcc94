"""``syncer backfill``: fills completely, goes on where it stopped, says what it did."""

from __future__ import annotations

import asyncio

import pytest
from support.command import Place
from support.serving import Gate, Serve
from support.stored import assert_mirrors, count_models, fetch_value


async def test_backfill_fills_completely_and_says_what_happened(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=50)
    async with serve(models=220) as source:
        ended = await place.run("backfill")

        assert ended.code == 0, ended.stderr
        assert "public: backfill complete" in ended.stdout
        assert "220 inserted, 0 updated" in ended.stdout
        await assert_mirrors(migrated_database_url, source)


async def test_a_second_backfill_asks_nothing_and_says_that_it_is_filled(
    place: Place, serve: Serve
) -> None:
    async with serve() as source:
        assert (await place.run("backfill")).code == 0
        asked = len(source.requests)
        again = await place.run("backfill")

        assert again.code == 0
        assert "public: already filled" in again.stdout
        assert len(source.requests) == asked


async def test_restart_reads_everything_again_and_keeps_the_rows(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=120) as source:
        await place.run("backfill")
        first_seen = await fetch_value(
            migrated_database_url, "SELECT max(first_seen_at) FROM scenario.models"
        )
        asked = len(source.requests)
        again = await place.run("backfill", "--restart")

        assert again.code == 0, again.stderr
        assert "0 inserted, 0 updated, 120 unchanged" in again.stdout
        assert len(source.requests) > asked
        assert await count_models(migrated_database_url) == 120
        assert first_seen == await fetch_value(
            migrated_database_url, "SELECT max(first_seen_at) FROM scenario.models"
        )


@pytest.mark.parametrize("partition_by", ["time", "type", "tag"])
async def test_every_way_to_partition_mirrors_the_same_models(
    place: Place, serve: Serve, migrated_database_url: str, partition_by: str
) -> None:
    place.write_config(f'[[catalog]]\nname = "public"\npartition_by = "{partition_by}"\n')
    place.set(source__page_size=60)
    async with serve(models=300) as source:
        source.add_model(type="a-type-nobody-listed", tags=["a tag nobody listed"])
        ended = await place.run("backfill")

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_a_plan_prints_partitions_and_does_nothing(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config('[[catalog]]\nname = "some"\ntypes = ["custom", "flux.1-lora"]\n')
    async with serve() as source:
        planned = await place.run("backfill", "--plan")
        as_json = await place.run("backfill", "--plan", "--json")

        assert planned.code == as_json.code == 0, planned.stderr
        assert "partition type=custom" in planned.stdout
        assert "partition type=flux.1-lora" in planned.stdout
        assert "requests: " in planned.stdout
        (catalog,) = as_json.document["catalogs"]
        assert catalog["partitions"] == ["type=custom", "type=flux.1-lora"]
        assert source.requests == []
        assert await fetch_value(migrated_database_url, "SELECT count(*) FROM syncer.catalog") == 0
        assert await fetch_value(migrated_database_url, "SELECT count(*) FROM syncer.lease") == 0


async def test_a_plan_of_a_filled_mirror_names_its_requests(place: Place, serve: Serve) -> None:
    place.set(source__page_size=50)
    async with serve(models=220) as source:
        await place.run("backfill")
        asked = len(source.requests)
        planned = await place.run("backfill", "--plan")

        assert "requests: about 5" in planned.stdout
        assert len(source.requests) == asked


async def test_a_deadline_ends_with_7_and_the_next_run_goes_on_from_the_checkpoint(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=10, source__max_concurrency=2)
    async with serve(models=300) as source:
        # Eight pages at once; what is asked then is answered when the deadline is long over.
        gate = Gate(source, after=8)
        async with place.start("backfill", "--deadline", "1") as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            asyncio.get_running_loop().call_later(1.5, gate.open)
            ended = await running.end()
        kept = await count_models(migrated_database_url)
        asked = len(source.requests)
        rest = await place.run("backfill")

        assert "deadline" in ended.failed_with(7)
        assert "public: backfill not complete" in ended.stdout
        assert 0 < kept < 300
        assert rest.code == 0, rest.stderr
        assert len(source.requests) - asked < 34 - 5
        await assert_mirrors(migrated_database_url, source)


async def test_an_unknown_catalog_is_refused_and_the_known_ones_are_named(
    place: Place, serve: Serve
) -> None:
    async with serve() as source:
        ended = await place.run("backfill", "--catalog", "publik")

        said = ended.failed_with(2)
        assert "there is no catalog 'publik'" in said
        assert "public" in said
        assert source.requests == []


async def test_json_is_alone_on_stdout(place: Place, serve: Serve) -> None:
    async with serve(models=120):
        ended = await place.run("--log-level", "debug", "backfill", "--json")

        assert ended.code == ended.document["exit_code"] == 0
        (catalog,) = ended.document["catalogs"]
        assert catalog["name"] == "public"
        assert catalog["errors"] == []
        (cycle,) = catalog["cycles"]
        assert (cycle["kind"], cycle["complete"], cycle["inserted"]) == ("backfill", True, 120)
        assert ended.events


async def test_only_the_named_catalogs_are_filled(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(
        '[[catalog]]\nname = "all"\n[[catalog]]\nname = "custom"\ntypes = ["custom"]\n'
    )
    async with serve(models=120):
        ended = await place.run("backfill", "--catalog", "custom")

        assert ended.code == 0, ended.stderr
        assert await count_models(migrated_database_url, "custom") > 0
        assert await count_models(migrated_database_url, "all") == 0


async def test_models_that_change_while_they_are_paged_are_all_there_after_a_sync(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=20)
    async with serve(models=300) as source:

        def edit(_: dict[str, str]) -> None:
            # No removals: those are for the sweep to find.
            listed = sorted(source.live_models())
            source.update_model(listed[len(source.requests) % len(listed)], name="moved")
            source.add_model()

        source.on_request = edit
        backfilled = await place.run("backfill")
        source.on_request = None
        synced = await place.run("sync")

        assert (backfilled.code, synced.code) == (0, 0), backfilled.stderr + synced.stderr
        assert len(source.live_models()) > 300
        await assert_mirrors(migrated_database_url, source)
