"""``syncer export`` at length: in bounded memory, to whoever reads for as long as it likes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from support.command import SYNCER
from support.stored import fetch

if TYPE_CHECKING:
    from support.command import Place
    from support.serving import Serve

FEW, MANY = 3_000, 30_000
BODY_BYTES = 12_000
ROOM_KB = 96 * 1024
"""Far below the 324 MB that ``MANY`` have more than ``FEW``; for what an allocator keeps."""

FILL = """
INSERT INTO scenario.models
    (catalog, id, name, tags, created_at, updated_at, body, content_hash, sent_order)
SELECT
    'public', 'model_' || lpad(n::text, 8, '0'), 'model ' || n, ARRAY['tag' || n % 50],
    now(), now(),
    jsonb_build_object('id', n, 'text', repeat(md5(n::text), $3::integer / 32)),
    sha256(n::text::bytea), n
FROM generate_series($1::integer, $2::integer) AS n
"""

MEASURE = """#!{python}
import resource, subprocess, sys
code = subprocess.call(["{syncer}", *sys.argv[1:]], stdout=subprocess.DEVNULL)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


async def fill(url: str, first: int, last: int, body_bytes: int = BODY_BYTES) -> None:
    await fetch(
        url,
        "INSERT INTO syncer.catalog (catalog, scope) VALUES ('public', '{}')"
        " ON CONFLICT DO NOTHING",
    )
    await fetch(url, FILL, first, last, body_bytes)


async def peak_kb(place: Place, kind: str, rows: int) -> int:
    """The most memory that an export of so many rows ever had."""
    path = place.home / "models.parquet"
    target = ("--output", path) if kind == "parquet" else ()
    ended = await place.run("export", "--format", kind, *target)
    assert ended.code == 0, ended.stderr
    assert f"{rows:,} models exported" in ended.stderr
    if kind == "parquet":
        assert pq.ParquetFile(path).metadata.num_rows == rows
    return int(ended.stderr.rpartition("peak ")[2])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
async def test_ten_times_the_models_take_no_more_memory(
    place: Place, migrated_database_url: str, kind: str
) -> None:
    """P6: what is held depends on the batch, and for parquet on the row group."""
    script = place.home / "measured"
    script.write_text(MEASURE.format(python=sys.executable, syncer=SYNCER), encoding="utf-8")
    script.chmod(0o755)
    place.program = script
    await fill(migrated_database_url, 1, FEW)
    few = await peak_kb(place, kind, FEW)
    await fill(migrated_database_url, FEW + 1, MANY)
    many = await peak_kb(place, kind, MANY)

    assert many < few + ROOM_KB


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--format", "jsonl"),
        ("export", "--format", "csv", "--output", "-"),
        ("sql", "--json", "SELECT * FROM live_models"),
        ("sql", "SELECT * FROM live_models"),
    ],
)
async def test_a_reader_that_leaves_ends_it_quietly(
    place: Place, migrated_database_url: str, arguments: tuple[str, ...]
) -> None:
    """As with head: no traceback, no error; but what was to be taken away is not complete (P8)."""
    await fill(migrated_database_url, 1, 2_000, 2_000)
    reading, writing = os.pipe()
    process = await place.spawn(*arguments, stdout=writing)
    begun = await asyncio.to_thread(os.read, reading, 100)
    os.close(reading)
    async with asyncio.timeout(30):
        _, said = await process.communicate()

    assert begun
    assert process.returncode == (5 if arguments[0] == "export" else 0), said
    assert b"Traceback" not in said
    assert b"error" not in said


async def test_a_killed_export_leaves_nothing_under_its_name(
    place: Place, migrated_database_url: str
) -> None:
    """SIGKILL gives no chance to clean up; nobody takes what is left for the whole."""
    await fill(migrated_database_url, 1, MANY, 4_000)
    path = place.home / "models.jsonl"
    async with place.start("export", "--format", "jsonl", "--output", path) as running:
        await running.until(lambda: any(parts(place)), "the export to begin")
        ended = await running.stop(signal.SIGKILL)
    left = path.exists()
    again = await place.run("export", "--format", "jsonl", "--output", path)

    assert ended.code == -signal.SIGKILL
    assert not left
    assert again.code == 0
    assert path.read_bytes().count(b"\n") == MANY


def parts(place: Place) -> list[str]:
    """Files that are not whole yet."""
    return [
        each.name
        for each in place.home.iterdir()
        if each.name.startswith(".models.jsonl.") and each.stat().st_size
    ]


async def test_how_far_it_is_and_how_many_there_were_are_said_on_standard_error(
    place: Place, migrated_database_url: str
) -> None:
    await fill(migrated_database_url, 1, 25_000, 100)
    ended = await place.run("export", "--format", "jsonl", "--output", "-")

    assert ended.code == 0
    assert ended.stderr.splitlines()[-3:] == [
        "10,000 models",
        "20,000 models",
        "25,000 models exported",
    ]
    lines = ended.stdout.splitlines()
    assert len(lines) == 25_000
    assert json.loads(lines[-1])["id"] == "model_00025000"


async def test_only_the_named_catalogs_are_exported(place: Place, serve: Serve) -> None:
    place.write_config('[[catalog]]\nname = "one"\ntypes = ["custom"]\n[[catalog]]\nname = "all"\n')
    async with serve(models=40):
        await place.run("sync")
        both = await place.run("export", "--format", "jsonl")
        one = await place.run("export", "--format", "jsonl", "--catalog", "one")

    assert {json.loads(line)["catalog"] for line in both.stdout.splitlines()} == {"one", "all"}
    assert {json.loads(line)["catalog"] for line in one.stdout.splitlines()} == {"one"}


async def test_without_pyarrow_parquet_says_what_to_install(place: Place) -> None:
    """It is an extra; the other formats do without."""
    shadow = place.home / "shadow" / "pyarrow"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('no pyarrow here')\n", encoding="utf-8")
    place.environment["PYTHONPATH"] = str(shadow.parent)
    parquet = await place.run("export", "--format", "parquet", "--output", "models.parquet")
    jsonl = await place.run("export", "--format", "jsonl")

    assert "syncer[parquet]" in parquet.failed_with(2)
    assert not (place.home / "models.parquet").exists()
    assert jsonl.code == 0, jsonl.stderr


async def test_a_statement_may_come_from_standard_input(
    place: Place, migrated_database_url: str
) -> None:
    await fill(migrated_database_url, 1, 3, 100)
    question = place.home / "question.sql"
    question.write_text("-- how many\nSELECT count(*) AS n FROM live_models\n", encoding="utf-8")
    with question.open() as stdin:
        async with place.start("sql", "--json", "-", stdin=stdin.fileno()) as running:
            ended = await running.end()

    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout) == {"n": 3}
