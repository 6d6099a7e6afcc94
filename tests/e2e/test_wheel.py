"""
The wheel alone works: nothing that it needs lies only in the repository.

    uv run pytest -n0 -m long tests/e2e/test_wheel.py

Not in the default run because it asks the package index; it takes a few seconds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from support.command import Place
from support.stored import fetch_value

ROOT = Path(__file__).parents[2]


async def uv(*arguments: object) -> None:
    """Run uv with the caller's own settings: they say where packages come from."""
    program = os.environ.get("UV") or shutil.which("uv")
    assert program, "this test needs uv on the PATH"
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), env=dict(os.environ), cwd=ROOT
    )
    assert await process.wait() == 0


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_built_wheel_runs_in_an_environment_of_its_own(
    bare_place: Place, database_url: str, tmp_path: Path
) -> None:
    await uv("build", "--wheel", "--out-dir", tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    await uv("venv", "--no-project", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    await uv("pip", "install", "--python", python, wheel)
    bare_place.program = python.with_name("syncer")
    bare_place.set(database__url=database_url)

    version = await bare_place.run("--version")
    initialised = await bare_place.run("init")
    migrated = await bare_place.run("migrate")
    status = await bare_place.run("status", "--json")

    assert version.stdout.startswith("syncer, version ")
    assert [each.code for each in (version, initialised, migrated, status)] == [0, 0, 0, 0]
    assert (bare_place.home / "config.toml").read_text() == (
        ROOT / "config.example.toml"
    ).read_text()
    assert "applied 0001_create_models" in migrated.stdout
    assert await fetch_value(database_url, "SELECT count(*) FROM scenario.live_models") == 0
    assert status.document["catalogs"][0]["phase"] == "new"
