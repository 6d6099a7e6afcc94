"""Commands that prepare a place, and what each command says of itself."""

from __future__ import annotations

import re
import signal
import tomllib
from importlib.metadata import version

import click
import pytest
from support.command import Place
from support.stored import fetch, fetch_value

from syncer.cli import main

TABLES = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema IN ('scenario', 'syncer') ORDER BY 1, 2
"""


def command_paths(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group below one, by what is typed."""
    found = [path]
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            found.extend(command_paths(each, (*path, name)))
    return found


COMMANDS = command_paths(main)


async def test_init_writes_a_configuration_that_works_as_it_is(bare_place: Place) -> None:
    written = await bare_place.run("init")
    text = (bare_place.home / "config.toml").read_text(encoding="utf-8")
    planned = await bare_place.run("backfill", "--plan")

    assert written.code == 0
    assert "Wrote config.toml" in written.stdout
    assert tomllib.loads(text)["catalog"][0]["name"] == "public"
    assert planned.code == 0, planned.stderr


async def test_init_never_overwrites(bare_place: Place) -> None:
    mine = bare_place.write_config("# mine\n")
    ended = await bare_place.run("init")

    assert "config.toml exists and is not overwritten" in ended.failed_with(2)
    assert mine.read_text(encoding="utf-8") == "# mine\n"


async def test_init_says_when_it_cannot_write(bare_place: Place) -> None:
    ended = await bare_place.run("init", "no/such/directory/config.toml")

    assert "no such file or directory" in ended.failed_with(2).lower()


async def test_migrate_brings_an_empty_database_up_to_date_once(
    bare_place: Place, database_url: str
) -> None:
    bare_place.set(database__url=database_url)
    first = await bare_place.run("migrate")
    again = await bare_place.run("migrate")

    assert first.code == again.code == 0, first.stderr
    assert "applied 0001_create_models" in first.stdout
    assert "0 applied; the schema is up to date" in again.stdout
    tables = {tuple(row.values()) for row in await fetch(database_url, TABLES)}
    assert {("scenario", "models"), ("scenario", "live_models"), ("syncer", "lease")} <= tables


async def test_a_dry_run_says_what_migrate_would_do_and_changes_nothing(
    bare_place: Place, database_url: str
) -> None:
    bare_place.set(database__url=database_url)
    ended = await bare_place.run("migrate", "--dry-run")

    assert ended.code == 0, ended.stderr
    assert "would apply 0001_create_models" in ended.stdout
    assert re.search(r"^[1-9]\d* pending, 0 applied$", ended.stdout, re.MULTILINE)
    assert await fetch(database_url, TABLES) == []
    assert (
        await fetch_value(
            database_url,
            "SELECT count(*) FROM pg_namespace WHERE nspname IN ('scenario', 'syncer')",
        )
        == 0
    )


async def test_version_names_the_installed_version(bare_place: Place) -> None:
    ended = await bare_place.run("--version")

    assert (ended.code, ended.stdout) == (0, f"syncer, version {version('syncer')}\n")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
async def test_every_command_has_help_with_an_example(
    bare_place: Place, path: tuple[str, ...]
) -> None:
    ended = await bare_place.run(*path, "--help")

    assert (ended.code, ended.stderr) == (0, "")
    example = re.sub(r"\s+", " ", ended.stdout)
    assert re.search(rf"(Examples?|Try it).*: .*syncer .*{path[-1] if path else ''}", example)


async def test_simulate_prints_its_address_and_ends_on_sigterm_with_0(bare_place: Place) -> None:
    async with bare_place.start("simulate", "--port", "0", "--models", "12") as running:
        url = await running.until(
            lambda: re.search(r"12 models at (http://127\.0\.0\.1:\d+/v1)\n", running.stdout),
            "the address",
        )
        bare_place.set(source__base_url=url[1])
        synced = await bare_place.run("sync")
        ended = await running.stop(signal.SIGTERM)

        assert synced.code == 0, synced.stderr
        assert "12 inserted" in synced.stdout
        assert (ended.code, ended.stderr) == (0, "")


async def test_simulate_names_its_faults_and_refuses_others(bare_place: Place) -> None:
    listed = await bare_place.run("simulate", "--fault", "list")
    unknown = await bare_place.run("simulate", "--fault", "no-such-fault")
    unreadable = await bare_place.run("simulate", "--fault", "error-500:often")

    assert listed.code == 0
    assert "unauthorized" in listed.stdout
    assert "no-such-fault" in unknown.failed_with(2)
    assert "NAME:COUNT" in unreadable.failed_with(2)


async def test_simulate_takes_a_fault_with_a_count(bare_place: Place) -> None:
    async with bare_place.start("simulate", "--fault", "error-500:1") as running:
        url = await running.until(
            lambda: re.search(r"at (http://\S+)\n", running.stdout), "the address"
        )
        bare_place.set(source__base_url=url[1])
        synced = await bare_place.run("sync")

        assert synced.code == 0, synced.stderr
        assert [line for line in synced.events if line["event"] == "retry_scheduled"]
