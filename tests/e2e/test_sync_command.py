"""``syncer sync``: what a cron job runs."""

from __future__ import annotations

from support.command import Place
from support.serving import Serve
from support.stored import assert_mirrors, count_models, fetch, live_bodies

TWO_CATALOGS = """
[[catalog]]
name = "everything"

[[catalog]]
name = "custom"
types = ["custom"]
"""


async def test_the_first_sync_fills_the_catalog_and_catches_up(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=150) as source:
        ended = await place.run("sync")

        assert ended.code == 0, ended.stderr
        assert "public: backfill complete" in ended.stdout
        assert "public: sweep complete" in ended.stdout
        await assert_mirrors(migrated_database_url, source)


async def test_an_idle_sync_costs_one_request_and_writes_no_model(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    rows = "SELECT xmin::text, * FROM scenario.models ORDER BY id"
    async with serve(models=150) as source:
        await place.run("sync")
        before, asked = await fetch(migrated_database_url, rows), len(source.requests)
        ended = await place.run("sync")

        assert ended.code == 0
        assert len(source.requests) - asked == 1
        assert "0 inserted, 0 updated" in ended.stdout
        assert before == await fetch(migrated_database_url, rows)


async def test_a_sync_finds_what_was_added_and_changed(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=150) as source:
        await place.run("sync")
        added = source.add_model(name="new here")["id"]
        changed = next(iter(source.live_models()))
        source.update_model(changed, name="renamed")
        ended = await place.run("sync")

        assert "1 inserted, 1 updated" in ended.stdout
        mirrored = await live_bodies(migrated_database_url)
        assert (mirrored[added]["name"], mirrored[changed]["name"]) == ("new here", "renamed")
        await assert_mirrors(migrated_database_url, source)


async def test_a_bulk_edit_of_many_pages_is_followed(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=20)
    async with serve(models=150) as source:
        await place.run("sync")
        for model_id in source.live_models():
            source.update_model(model_id, shortDescription="edited in bulk")
        # The ceiling is the source's Date, which has whole seconds: what was edited within the
        # last one may be the next cycle's.
        first, second = await place.run("sync"), await place.run("sync")

        assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
        assert [line for line in first.events if line["event"] == "walk_chosen"]
        await assert_mirrors(migrated_database_url, source)


async def test_several_catalogs_are_mirrored_at_once(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(TWO_CATALOGS)
    async with serve(models=200) as source:
        ended = await place.run("sync")
        custom = {i for i, model in source.live_models().items() if model["type"] == "custom"}

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source, "everything")
        assert (await live_bodies(migrated_database_url, "custom")).keys() == custom


async def test_a_private_catalog_is_mirrored_with_credentials(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config('[[catalog]]\nname = "ours"\nprivacy = "private"\n')
    place.environment |= {"SCENARIO_SDK_API_KEY": "key", "SCENARIO_SDK_API_SECRET": "secret"}
    async with serve(private_models=40) as source:
        ended = await place.run("sync")

        assert ended.code == 0, ended.stderr
        mirrored = await live_bodies(migrated_database_url, "ours")
        assert mirrored.keys() == source.live_models("private").keys()
        assert {request.auth for request in source.requests} == {"basic"}


async def test_one_broken_catalog_does_not_harm_the_other_and_the_code_is_5(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(
        '[[catalog]]\nname = "broken"\ntypes = ["no-such-type"]\n[[catalog]]\nname = "healthy"\n'
    )
    async with serve(models=150) as source:
        ended = await place.run("sync")

        said = ended.failed_with(5)
        assert "error: broken: " in said
        assert "type must be one of" in said
        assert "healthy: backfill complete" in ended.stdout
        await assert_mirrors(migrated_database_url, source, "healthy")
        assert await count_models(migrated_database_url, "broken") == 0


async def test_a_catalog_gone_from_the_configuration_is_retired_and_its_rows_stay(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    stored = "SELECT count(*) AS n FROM scenario.models WHERE catalog = 'custom'"
    place.write_config(TWO_CATALOGS)
    async with serve(models=100):
        await place.run("sync")
        before = await fetch(migrated_database_url, stored)
        place.write_config('[[catalog]]\nname = "everything"\n')
        ended = await place.run("sync")
        status = await place.run("status", "--json")

        assert ended.code == 0, ended.stderr
        assert [line["catalog"] for line in ended.events if line["event"] == "catalog_retired"] == [
            "custom"
        ]
        phases = {each["name"]: each["phase"] for each in status.document["catalogs"]}
        assert phases == {"everything": "idle", "custom": "retired"}
        assert before == await fetch(migrated_database_url, stored)
        assert await count_models(migrated_database_url, "custom") == 0


async def test_a_catalog_is_pinned_to_the_source_it_was_filled_from(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=50) as first:
        await place.run("sync")
        async with serve(models=80, seed=2) as second:
            refused = await place.run("sync")

            assert "first filled from" in refused.failed_with(2)
            assert second.requests == []
            await assert_mirrors(migrated_database_url, first)


async def test_the_embedded_database_is_used_when_none_is_configured(
    bare_place: Place, serve: Serve
) -> None:
    async with serve(models=80):
        ended = await bare_place.run("sync")
        status = await bare_place.run("status", "--json")

        assert ended.code == 0, ended.stderr
        (warning,) = [line for line in ended.events if line["event"] == "embedded_started"]
        assert warning["level"] == "warning"
        assert warning["data_dir"] == str(bare_place.home / "data")
        assert status.document["catalogs"][0]["live_models"] == 80
        assert not list((bare_place.home / "data").rglob("postmaster.pid"))


async def test_no_database_where_none_may_be_embedded_is_a_configuration_error(
    bare_place: Place,
) -> None:
    bare_place.set(database__embedded="never")
    ended = await bare_place.run("sync")

    assert "DATABASE_URL" in ended.failed_with(2)
    assert not (bare_place.home / "data").exists()
