"""``syncer quarantine``: one bad model stays one bad model, and can be looked at and retried."""

from __future__ import annotations

import json

from support.command import Place
from support.serving import Serve
from support.stored import assert_mirrors, count_models

from syncer.simulator import SimulatedSource

CREATED = "2026-01-02T03:04:05.678Z"


def raw_model(model_id: str, **fields: object) -> bytes:
    """A record as the source would send it; NUL in a string is what PostgreSQL cannot store."""
    record = {
        "id": model_id,
        "name": "broken\0name",
        "type": "custom",
        "privacy": "public",
        "createdAt": CREATED,
        "updatedAt": CREATED,
    }
    return json.dumps(record | fields).encode()


def break_model(source: SimulatedSource, model_id: str, **fields: object) -> None:
    """List a model that cannot be stored."""
    source.put_raw(model_id, raw_model(model_id, **fields), created_at=CREATED, updated_at=CREATED)


async def test_a_model_that_cannot_be_stored_is_listed_with_its_reason_and_the_rest_lands(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=50) as source:
        break_model(source, "model_broken")
        ended = await place.run("sync")
        listed = await place.run("quarantine", "list")
        as_json = await place.run("quarantine", "list", "--json")

        assert ended.code == 5
        assert "1 models are in quarantine; see 'syncer quarantine list'" in ended.stdout
        assert await count_models(migrated_database_url) == 50
        assert listed.code == as_json.code == 0
        assert "public  model_broken" in listed.stdout
        assert "1 open, 1 in all" in listed.stdout
        (model,) = as_json.document["models"]
        assert (model["catalog"], model["id"], model["dismissed"]) == (
            "public",
            "model_broken",
            False,
        )
        assert model["reason"]
        assert "broken" in model["raw"]


async def test_retry_clears_what_the_source_has_mended(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=50) as source:
        break_model(source, "model_broken")
        await place.run("sync")
        still = await place.run("quarantine", "retry")
        break_model(source, "model_broken", name="mended")
        mended = await place.run("quarantine", "retry", "model_broken")
        synced = await place.run("sync")

        assert still.code == 5
        assert "1 asked again, 0 readable now, 1 left" in still.stdout
        assert mended.code == 0, mended.stderr
        assert "1 asked again, 1 readable now, 0 left" in mended.stdout
        assert synced.code == 0, synced.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_a_sync_clears_what_the_source_has_mended_by_itself(
    place: Place, serve: Serve
) -> None:
    async with serve(models=50) as source:
        break_model(source, "model_broken")
        assert (await place.run("sync")).code == 5
        source.put_raw("model_broken", raw_model("model_broken", name="mended"), created_at=CREATED)
        source.update_model("model_broken", name="mended")

        assert (await place.run("sync")).code == 0
        assert "0 open, 0 in all" in (await place.run("quarantine", "list")).stdout


async def test_dismiss_silences_a_model_until_its_content_changes(
    place: Place, serve: Serve
) -> None:
    async with serve(models=50) as source:
        break_model(source, "model_broken")
        await place.run("sync")
        dismissed = await place.run("quarantine", "dismiss", "model_broken")
        silent = await place.run("sync")
        listed = await place.run("quarantine", "list")
        break_model(source, "model_broken", name="broken\0otherwise")
        await place.run("backfill", "--restart")
        loud = await place.run("sync")

        assert dismissed.code == 0
        assert "dismissed model_broken in public" in dismissed.stdout
        assert silent.code == 0
        assert "model_broken (dismissed)" in listed.stdout
        assert "0 open, 1 in all" in listed.stdout
        assert loud.code == 5


async def test_dismissing_what_is_not_there_is_a_usage_error(place: Place, serve: Serve) -> None:
    async with serve(models=10):
        await place.run("sync")
        ended = await place.run("quarantine", "dismiss", "model_nobody_knows")

        assert "not in quarantine: model_nobody_knows" in ended.failed_with(2)


async def test_before_anything_exists_nothing_is_in_quarantine(bare_place: Place) -> None:
    ended = await bare_place.run("quarantine", "list")

    assert ended.code == 0
    assert "0 open, 0 in all" in ended.stdout
    assert not (bare_place.home / "data").exists()


async def test_a_record_without_an_id_is_kept_under_its_digest(place: Place, serve: Serve) -> None:
    async with serve(models=20) as source:
        source.put_raw("nameless", b'{"name": "no id, no dates"}')
        await place.run("sync")
        listed = await place.run("quarantine", "list", "--json")
        retried = await place.run("quarantine", "retry")

        (model,) = listed.document["models"]
        assert model["id"].startswith("sha256:")
        assert "id" in model["reason"]
        assert retried.code == 5
        assert "cannot be asked for alone" in retried.stdout


async def test_only_open_quarantine_of_the_commands_own_catalogs_counts(
    place: Place, serve: Serve
) -> None:
    place.write_config(
        '[[catalog]]\nname = "everything"\n[[catalog]]\nname = "loras"\ntypes = ["flux.1-lora"]\n'
    )
    async with serve(models=60) as source:
        source.put_raw("model_broken", raw_model("model_broken"), created_at=CREATED)
        both = await place.run("sync")
        healthy = await place.run("sync", "--catalog", "loras")

        assert (both.code, healthy.code) == (5, 0)
