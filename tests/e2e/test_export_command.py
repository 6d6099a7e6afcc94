"""``syncer export``: the whole mirror, one moment, in a file that is whole or is not there."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.locked import writes_held_up
from support.stored import fetch, live_bodies

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Place
    from support.serving import Serve

COLUMNS = (
    *("catalog", "id", "name", "type", "privacy", "status", "source", "custom", "tags"),
    *("capabilities", "collection_ids", "author_id", "owner_id", "parent_model_id"),
    *("short_description", "access_restrictions", "training_images_number", "thumbnail_asset_id"),
    *("created_at", "updated_at", "first_seen_at", "changed_at", "removed_at", "removed_reason"),
    "body",
)


def instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def from_jsonl(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def from_csv(text: str) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row in rows:
        for name in ("tags", "capabilities", "collection_ids", "body"):
            row[name] = json.loads(row[name]) if row[name] else None
        row["custom"] = {"true": True, "false": False, "": None}[row["custom"]]
        for name in ("access_restrictions", "training_images_number"):
            row[name] = int(row[name]) if row[name] else None
    return rows


def from_parquet(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    for row in rows:
        row["body"] = json.loads(row["body"])
    return rows


async def exported(place: Place, kind: str, *arguments: object) -> list[dict[str, Any]]:
    """What an export holds, whichever way it is written."""
    path = place.home / f"models.{kind}"
    ended = await place.run("export", "--format", kind, "--output", path, *arguments)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == ""
    if kind == "parquet":
        return from_parquet(path)
    text = path.read_bytes().decode()
    return from_jsonl(text) if kind == "jsonl" else from_csv(text)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
async def test_what_is_exported_is_what_is_mirrored(
    place: Place, serve: Serve, migrated_database_url: str, kind: str
) -> None:
    async with serve(models=40) as source:
        source.add_model(name='a "quoted", name\nof 日本 lines', tags=["x,y", 'z"'])
        await place.run("sync")
        rows = await exported(place, kind)
        stored = await fetch(
            migrated_database_url, "SELECT * FROM scenario.live_models ORDER BY catalog, id"
        )
        bodies = await live_bodies(migrated_database_url)

    assert len(rows) == 41
    for row, real in zip(rows, stored, strict=True):
        assert tuple(row) == COLUMNS
        assert row["body"] == bodies[row["id"]]
        assert (row["removed_at"] or None, row["removed_reason"] or None) == (None, None)
        for name in ("id", "type", "custom", "tags", "capabilities", "access_restrictions"):
            assert row[name] == real[name], name
        assert (row["name"] or None) == real["name"]
        for name in ("created_at", "updated_at", "changed_at"):
            assert instant(row[name]) == real[name]


async def test_parquet_has_types(place: Place, serve: Serve) -> None:
    async with serve(models=3):
        await place.run("sync")
        await exported(place, "parquet")
    schema = pq.read_schema(place.home / "models.parquet")

    assert schema.field("updated_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("tags").type == pa.list_(pa.string())
    assert schema.field("custom").type == pa.bool_()
    assert schema.field("removed_at").type == pa.timestamp("us", tz="UTC")


async def test_since_a_time_holds_what_changed_and_what_went(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=20) as source:
        await place.run("sync")
        (row,) = await fetch(migrated_database_url, "SELECT clock_timestamp() AS now")
        changed, removed, *_ = source.live_models()
        source.update_model(changed, name="renamed")
        source.remove_model(removed)
        await place.run("sweep")
        since = row["now"].astimezone(UTC).isoformat()
        rows = {each["id"]: each for each in await exported(place, "jsonl", "--since", since)}
        all_live = await exported(place, "jsonl")

    assert rows.keys() == {changed, removed}
    assert rows[changed]["removed_at"] is None
    assert rows[removed]["removed_reason"] == "absent"
    assert len(all_live) == 19


async def next_after(place: Place, *arguments: str) -> tuple[set[str], str]:
    """Which models an export holds, and where the next one begins."""
    ended = await place.run("export", "--format", "jsonl", *arguments)
    assert ended.code == 0, ended.stderr
    (told,) = re.findall(r"--after (\d+)", ended.stderr)
    return {row["id"] for row in from_jsonl(ended.stdout)}, told


async def test_after_a_change_holds_what_was_committed_since_the_export_that_named_it(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """A page that was being written during the first export counts as earlier by any clock."""
    async with serve(models=20) as source:
        await place.run("sync")
        changed, removed, *_ = source.live_models()
        source.update_model(changed, name="renamed")
        async with AsyncExitStack() as held:
            is_waited_for = await held.enter_async_context(writes_held_up(migrated_database_url))
            async with place.start("sync") as writing:
                await writing.until(is_waited_for, "a page that waits")
                (row,) = await fetch(migrated_database_url, "SELECT clock_timestamp() AS now")
                everything, first = await next_after(place)
                await held.aclose()
                assert (await writing.end()).code == 0
        since = row["now"].astimezone(UTC).isoformat()
        by_time = await exported(place, "jsonl", "--since", since)
        by_change, second = await next_after(place, "--after", first)
        source.remove_model(removed)
        await place.run("sweep")
        gone, third = await next_after(place, "--after", second)
        nothing, last = await next_after(place, "--after", third)

    assert len(everything) == 20
    assert by_time == [], "why there is --after"
    assert (by_change, gone, nothing) == ({changed}, {removed}, set())
    assert int(first) < int(second) < int(third) == int(last)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--after", "2"), "no longer kept"),
        (("--after", "1000000"), "there is no change 1000000 here"),
    ],
)
async def test_a_change_from_which_nothing_can_be_told_is_refused(
    place: Place, serve: Serve, migrated_database_url: str, arguments: tuple[str, ...], said: str
) -> None:
    async with serve(models=20):
        await place.run("sync")
        await fetch(migrated_database_url, "DELETE FROM scenario.model_changes WHERE change_id < 9")
        ended = await place.run("export", "--format", "csv", *arguments)

    assert said in ended.failed_with(2)
    assert ended.stdout == ""


async def test_without_any_change_nothing_can_be_told_after_one(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=3):
        await place.run("sync")
        await fetch(migrated_database_url, "DELETE FROM scenario.model_changes")
        ended = await place.run("export", "--format", "csv", "--after", "0")
        everything = await place.run("export", "--format", "csv")

    assert "no change is kept" in ended.failed_with(2)
    assert everything.code == 0
    assert "--after" not in everything.stderr


async def test_standard_output_holds_rows_alone_and_an_early_end_is_no_error(
    place: Place, serve: Serve
) -> None:
    async with serve(models=20):
        await place.run("sync")
        ended = await place.run("export", "--format", "csv")
        rows = from_csv(ended.stdout)

    assert ended.code == 0
    assert len(rows) == 20
    assert "20 models exported" in ended.stderr


async def test_a_killed_export_leaves_the_earlier_file_as_it_was(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    path = place.home / "models.jsonl"
    path.write_text("the earlier one\n", encoding="utf-8")
    async with serve(models=3):
        await place.run("sync")
        await fetch(
            migrated_database_url,
            "CREATE FUNCTION public.dawdle(text) RETURNS text LANGUAGE plpgsql AS"
            " $$BEGIN PERFORM pg_sleep(600); RETURN $1; END$$",
        )
        await fetch(
            migrated_database_url,
            "CREATE OR REPLACE VIEW scenario.known_models AS SELECT catalog, id,"
            " public.dawdle(name) AS name, type, privacy, status, source, custom, tags,"
            " capabilities, collection_ids, author_id, owner_id, parent_model_id,"
            " short_description, access_restrictions, training_images_number,"
            " thumbnail_asset_id, created_at, updated_at, body, content_hash, first_seen_at,"
            " changed_at, removed_at, removed_reason FROM scenario.models",
        )
        arguments = ("export", "--format", "jsonl", "--output", path)
        async with place.start(*arguments) as running:
            is_reading = (
                "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                " AND datname = current_database()"
            )

            async def reads() -> bool:
                return bool((await fetch(migrated_database_url, is_reading))[0]["n"])

            await running.until(reads, "the export to read")
            ended = await running.stop(signal.SIGTERM)

    assert ended.code == 143
    assert path.read_text(encoding="utf-8") == "the earlier one\n"
    assert [each.name for each in place.home.iterdir() if each.name.endswith(".part")] == []


async def test_what_a_killed_export_left_is_cleared_away_and_what_is_being_written_is_not(
    place: Place, serve: Serve
) -> None:
    left, busy, others = (
        place.home / name
        for name in (
            ".models.csv.dead1234.part",
            ".models.csv.busy1234.part",
            ".models.csv.mine.part",
        )
    )
    for each in (left, busy, others):
        each.write_text("half of it", encoding="utf-8")
    os.mkfifo(place.home / ".models.csv.pipe1234.part")
    async with serve(models=3):
        await place.run("sync")
        with busy.open("rb") as writing:
            fcntl.flock(writing, fcntl.LOCK_EX)
            await exported(place, "csv")

    parts = {each.name for each in place.home.iterdir() if each.suffix == ".part"}
    assert parts == {busy.name, others.name, ".models.csv.pipe1234.part"}


async def test_times_have_one_form_whatever_they_are(place: Place, serve: Serve) -> None:
    """Who guesses the form of a column from its first rows would choke on the others."""
    async with serve(models=5) as source:
        source.add_model(name="on the second", createdAt="2026-11-02T03:04:05.000Z")
        await place.run("sync")
        ended = await place.run("export", "--format", "csv")
        lines = await place.run("export", "--format", "jsonl")
    told = [row["created_at"] for row in csv.DictReader(io.StringIO(ended.stdout, newline=""))]

    assert [row["created_at"] for row in from_jsonl(lines.stdout)] == told
    assert {len(text) for text in told} == {len("2026-11-02T03:04:05.000000Z")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "parquet"), "--output"),
        (("--format", "xml"), "xml"),
        (("--format", "csv", "--since", "yesterday"), "is no time"),
        (("--format", "csv", "--after", "1", "--since", "2026-11-01"), "--since and --after"),
        (("--format", "csv", "--catalog", "nobody"), "there is no catalog 'nobody'"),
        (("--format", "csv", "--output", "no/such/place.csv"), "cannot be written"),
    ],
)
async def test_what_cannot_be_is_said_at_once(
    place: Place, serve: Serve, arguments: tuple[str, ...], said: str
) -> None:
    async with serve(models=3):
        await place.run("sync")
        ended = await place.run("export", *arguments)

    assert ended.code == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_link_is_followed_and_what_is_no_file_is_not_replaced(
    place: Place, migrated_database_url: str
) -> None:
    """As root the name of a device would do: it must not become a file."""
    real, link, pipe = (place.home / name for name in ("real.csv", "link.csv", "pipe"))
    real.write_text("the earlier one\n", encoding="utf-8")
    link.symlink_to(real)
    os.mkfifo(pipe)
    assert await fetch(migrated_database_url, "SELECT 1")
    through = await place.run("export", "--format", "csv", "--output", link)
    refused = await place.run("export", "--format", "csv", "--output", pipe)

    assert through.code == 0, through.stderr
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("catalog,id,")
    assert "is no file that could be replaced" in refused.failed_with(2)
    assert pipe.is_fifo()


async def test_a_full_standard_output_is_not_the_database(
    place: Place, migrated_database_url: str
) -> None:
    assert await fetch(migrated_database_url, "SELECT 1")
    full = os.open("/dev/full", os.O_WRONLY)
    process = await place.spawn("export", "--format", "csv", stdout=full)
    _, stderr = await process.communicate()

    assert process.returncode == 1
    assert b"error: standard output cannot be written to: no space left" in stderr
    assert b"Traceback" not in stderr
