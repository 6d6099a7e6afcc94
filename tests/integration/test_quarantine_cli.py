"""``syncer quarantine``: a name that is in no quarantine is said, whatever its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.command import Place
from support.postgres import execute

from syncer.cli import main

UNDECODABLE = b"a\xff".decode("utf-8", "surrogateescape")
"""What Python makes of an argument that is not UTF-8."""


@pytest.fixture(name="place")
def place_fixture(tmp_path: Path, migrated_database_url: str) -> Place:
    """A migrated database, and a source that nobody may ask."""
    place = Place(tmp_path)
    place.set(
        http__listen="",
        source__base_url="http://127.0.0.1:0/v1",
        database__url=migrated_database_url,
        database__embedded="never",
    )
    return place


async def quarantine(database_url: str, key: str, *, dismissed: bool) -> None:
    """A record of which nothing but the name can be read."""
    await execute(
        database_url,
        "INSERT INTO syncer.quarantine (catalog, key, reason, raw, raw_hash, dismissed) "  # noqa: S608
        f"VALUES ('public', '{key}', 'broken', '{{}}', '', {dismissed})",
    )


@pytest.mark.parametrize("command", ["list", "retry", "dismiss"])
async def test_an_argument_that_is_not_text_is_a_usage_error(place: Place, command: str) -> None:
    ended = await place.run("quarantine", command, UNDECODABLE)

    assert r"'a\udcff' cannot be the id of a model" in ended.failed_with(2)


@pytest.mark.parametrize("command", ["list", "retry", "dismiss"])
def test_an_argument_with_a_nul_is_a_usage_error(command: str) -> None:
    # No shell can pass one, so the command is called in this process.
    result: Result = CliRunner().invoke(
        main,
        ["quarantine", command, "good", "a\0"],
        env={"SYNCER_DATABASE__EMBEDDED": "never"},
    )

    assert result.exit_code == 2
    assert r"'a\x00' cannot be the id of a model" in result.stderr


@pytest.mark.parametrize("command", ["retry", "dismiss"])
async def test_naming_what_is_not_in_quarantine_is_a_usage_error(
    place: Place, command: str
) -> None:
    ended = await place.run("quarantine", command, "model_nobody_knows", "model_neither")

    said = ended.failed_with(2)
    assert "not in quarantine: model_neither, model_nobody_knows" in said
    assert "syncer quarantine list" in said


async def test_retrying_everything_where_nothing_is_in_quarantine_is_fine(place: Place) -> None:
    ended = await place.run("quarantine", "retry")

    assert ended.code == 0, ended.stderr
    assert "0 asked again, 0 readable now, 0 left" in ended.stdout


async def test_a_wrong_name_beside_a_right_one_does_not_keep_the_right_one_from_being_asked(
    place: Place, migrated_database_url: str
) -> None:
    await quarantine(migrated_database_url, "model_broken", dismissed=False)

    ended = await place.run("quarantine", "retry", "model_broken", "model_nobody_knows")

    assert "not in quarantine: model_nobody_knows" in ended.failed_with(2)
    assert "1 asked again, 0 readable now, 1 left" in ended.stdout


async def test_a_dismissed_model_is_not_called_unknown(
    place: Place, migrated_database_url: str
) -> None:
    await quarantine(migrated_database_url, "model_silent", dismissed=True)

    ended = await place.run("quarantine", "retry", "model_silent")

    assert ended.code == 0, ended.stderr
    assert "0 asked again" in ended.stdout
