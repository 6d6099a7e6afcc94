"""``syncer status``: the public document, at any time, from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from support.command import Place
from support.serving import Gate, Serve

DOCUMENT_KEYS = {"version", "generated_at", "ready", "reasons", "catalogs"}
CATALOG_KEYS = {
    "name",
    "privacy",
    "phase",
    "watermark",
    "head",
    "lag_s",
    "freshness_s",
    "live_models",
    "removed_models",
    "quarantined_models",
    "removals_waiting",
    "last_cycle",
    "last_error",
    "lease",
    "partitions",
}
CYCLE_KEYS = {"kind", "outcome", "started_at", "finished_at"}
ERROR_KEYS = {"at", "message", "hint"}
LEASE_KEYS = {"holder", "epoch", "expires_at"}
PARTITION_KEYS = {"name", "phase", "watermark", "models", "pages", "last_error"}
TIME_KEYS = {
    "generated_at",
    "watermark",
    "head",
    "started_at",
    "finished_at",
    "at",
    "expires_at",
}
RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a document with its value, however deep."""
    if isinstance(value, list):
        for each in value:
            yield from members(each)
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, each
            yield from members(each)


async def document(place: Place) -> dict[str, Any]:
    """What ``status --json`` says; checks what holds for each such document."""
    ended = await place.run("status", "--json")
    assert ended.code == 0, ended.stderr
    found: dict[str, Any] = ended.document
    assert found.keys() == DOCUMENT_KEYS
    for catalog in found["catalogs"]:
        assert catalog.keys() == CATALOG_KEYS
        assert catalog["lease"].keys() == LEASE_KEYS
        assert catalog["last_cycle"] is None or catalog["last_cycle"].keys() == CYCLE_KEYS
        assert catalog["last_error"] is None or catalog["last_error"].keys() == ERROR_KEYS
        for partition in catalog["partitions"]:
            assert partition.keys() == PARTITION_KEYS
    times = [value for key, value in members(found) if key in TIME_KEYS and value is not None]
    assert [value for value in times if not RFC_3339_UTC.fullmatch(value)] == []
    return found


async def test_before_anything_exists_each_configured_catalog_is_new(bare_place: Place) -> None:
    bare_place.write_config(
        '[[catalog]]\nname = "public"\n[[catalog]]\nname = "ours"\nprivacy = "private"\n'
    )
    found = await document(bare_place)

    assert found["ready"] is False
    assert [each["name"] for each in found["catalogs"]] == ["public", "ours"]
    assert [each["privacy"] for each in found["catalogs"]] == ["public", "private"]
    assert {each["phase"] for each in found["catalogs"]} == {"new"}
    assert "syncer sync" in " ".join(found["reasons"])
    assert not (bare_place.home / "data").exists()


async def test_of_a_migrated_database_without_rows_each_catalog_is_new(place: Place) -> None:
    found = await document(place)

    assert (found["ready"], found["catalogs"][0]["phase"]) == (False, "new")


async def test_a_database_without_our_schema_is_left_alone(
    bare_place: Place, database_url: str
) -> None:
    bare_place.set(database__url=database_url)

    assert "syncer migrate" in (await bare_place.run("status")).failed_with(3)


async def test_of_a_mirrored_catalog_everything_is_known(place: Place, serve: Serve) -> None:
    async with serve(models=130):
        await place.run("sync")
        found = await document(place)

        assert (found["ready"], found["reasons"]) == (True, [])
        (catalog,) = found["catalogs"]
        assert (catalog["name"], catalog["privacy"], catalog["phase"]) == (
            "public",
            "public",
            "idle",
        )
        assert (catalog["live_models"], catalog["removed_models"]) == (130, 0)
        assert (catalog["quarantined_models"], catalog["removals_waiting"]) == (0, 0)
        assert catalog["watermark"] is not None
        assert catalog["head"] is not None
        assert catalog["lag_s"] >= 0
        assert 0 <= catalog["freshness_s"] < 60
        assert (catalog["last_cycle"]["kind"], catalog["last_cycle"]["outcome"]) == (
            "sweep",
            "complete",
        )
        assert catalog["last_error"] is None
        assert catalog["lease"]["holder"] is None


async def test_during_a_backfill_it_shows_the_phase_the_holder_and_the_partitions(
    place: Place, serve: Serve
) -> None:
    place.set(source__page_size=10, source__max_concurrency=2)
    async with serve(models=200) as source:
        gate = Gate(source, after=6)
        async with place.start("backfill") as running:
            await running.until(lambda: gate.waiting == 2, "two requests that wait")
            found = await document(place)
            gate.open()
            assert (await running.end()).code == 0

        (catalog,) = found["catalogs"]
        assert catalog["phase"] == "backfill"
        assert catalog["lease"]["holder"].endswith(f":{running.process.pid}")
        assert catalog["lease"]["epoch"] == 1
        assert catalog["lease"]["expires_at"] is not None
        assert 0 < catalog["live_models"] < 200
        assert found["ready"] is True
        walking = [each for each in catalog["partitions"] if each["phase"] == "walking"]
        assert walking
        assert sum(each["pages"] for each in catalog["partitions"]) >= 2
        assert sum(each["models"] for each in catalog["partitions"]) > 0


async def test_an_error_is_kept_with_its_remedy_until_a_cycle_is_complete(
    place: Place, serve: Serve
) -> None:
    async with serve(models=30) as source:
        await place.run("sync")
        source.add_fault("unauthorized")
        await place.run("sync")
        (blocked,) = (await document(place))["catalogs"]
        shown = await place.run("status")
        source.clear_faults()
        await place.run("sync")
        (healed,) = (await document(place))["catalogs"]

        assert blocked["phase"] == "blocked"
        assert "refused the credentials" in blocked["last_error"]["message"]
        assert "syncer check" in blocked["last_error"]["hint"]
        assert blocked["last_cycle"]["outcome"] == "failed"
        assert "fix: " in shown.stdout
        assert (healed["phase"], healed["last_error"]) == ("idle", None)


async def test_for_people_it_is_a_table(place: Place, serve: Serve) -> None:
    async with serve(models=1234):
        await place.run("sync")
        ended = await place.run("status")

        assert ended.code == 0
        verdict, _, header, row = ended.stdout.splitlines()[:4]
        assert verdict.startswith("ready ")
        assert header.split()[:7] == (
            ["catalog", "phase", "live", "removed", "quarantine", "fresh", "lag"]
        )
        assert row.split()[:5] == ["public", "idle", "1,234", "0", "0"]
        assert re.search(r" \d+ s ago ", row)


async def test_through_a_pipe_and_with_no_color_it_is_plain_text(
    place: Place, serve: Serve
) -> None:
    """Also where somebody forces a terminal on rich: NO_COLOR wins."""
    async with serve(models=30) as source:
        await place.run("sync")
        source.add_fault("unauthorized")
        await place.run("sync")
        piped = await place.run("status")
        place.environment |= {"NO_COLOR": "1", "FORCE_COLOR": "1", "COLUMNS": "80"}
        forced = await place.run("status")

        assert "\x1b" not in piped.stdout
        assert re.search(r"\x1b\[[0-9;]*3\d", forced.stdout) is None
        blocked = [line for line in piped.stdout.splitlines() if line.startswith("! public: ")]
        assert len(blocked) == 1
        assert "refused the credentials" in blocked[0]


async def test_removals_that_wait_and_quarantine_are_shown_with_their_commands(
    place: Place, serve: Serve
) -> None:
    place.set(source__page_size=500)
    async with serve(models=60) as source:
        await place.run("sync")
        for model_id in list(source.live_models())[:40]:
            source.remove_model(model_id)
        source.put_raw("broken", b'{"id":"broken","name":"\\u0000"}')
        assert (await place.run("sync")).code == 5
        said = (await place.run("status")).stdout

        assert "syncer sweep --catalog public --allow-removals 40" in said
        assert "syncer quarantine list --catalog public" in said
        assert said.index("--allow-removals") < said.index("catalog  ")


async def test_it_works_while_the_daemon_runs(place: Place, serve: Serve) -> None:
    async with serve(models=60), place.start("run") as daemon:
        await daemon.until_poll()
        (catalog,) = (await document(place))["catalogs"]
        await daemon.stop()

        assert catalog["phase"] == "idle"
        assert catalog["lease"]["holder"].endswith(f":{daemon.process.pid}")
