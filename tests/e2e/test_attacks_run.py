"""``syncer run`` under attack: its database dies, its catalog is another's, it is told twice."""

from __future__ import annotations

import os
import signal

import pytest
from support.command import Place
from support.locked import models_locked
from support.postgres import execute
from support.serving import Serve

FOLLOWING = '[[catalog]]\nname = "public"\npoll_interval_s = 1\n'
AHEAD = """
    INSERT INTO syncer.migration (number, name, checksum, oldest_compatible)
    SELECT max(number) + 1, 'come_from_the_future', 'unknown', max(number) + 1 FROM syncer.migration
"""


def postmaster_of(place: Place) -> int | None:
    """The process of the embedded server, while there is one that has said so."""
    path = place.home / "data" / "postgres" / "pgdata" / "postmaster.pid"
    try:
        return int(path.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


async def test_an_embedded_server_that_was_killed_is_started_again_by_the_daemon_itself(
    bare_place: Place, serve: Serve
) -> None:
    """P1, P8: nobody else would; and what changes afterwards is followed."""
    bare_place.write_config(FOLLOWING)
    async with serve(models=60) as source, bare_place.start("run") as daemon:
        await daemon.until_poll()
        killed = postmaster_of(bare_place)
        assert killed is not None
        os.kill(killed, signal.SIGQUIT)
        await daemon.until_event("database_unavailable")
        # Another command would start the server, too: only the daemon is watched.
        await daemon.until(
            lambda: postmaster_of(bare_place) not in (None, killed), "another postmaster"
        )
        source.add_model(name="after the crash")
        await daemon.until_poll(inserted=1)
        status = await bare_place.run("status", "--json")
        ended = await daemon.stop()

        assert 61 == status.document["catalogs"][0]["live_models"]
        assert 0 == ended.code, ended.stderr
        assert "Traceback" not in ended.stderr
        assert postmaster_of(bare_place) is None


async def test_a_daemon_whose_catalog_was_filled_from_elsewhere_ends_with_2(
    place: Place, serve: Serve
) -> None:
    """P8: only an operator can mend that, so it is not waited out."""
    async with serve(models=20):
        assert 0 == (await place.run("sync")).code
        async with serve(models=20) as other:
            said = (await place.run("run")).failed_with(2)

            assert "first filled from" in said
            assert "--restart" in said
            assert [] == other.requests


async def test_a_daemon_that_is_pointed_elsewhere_while_it_runs_ends_with_2(
    place: Place, serve: Serve
) -> None:
    """P8: the pin is looked at whenever the configuration is read, not at the start alone."""
    async with serve(models=20):
        base_url = place.environment.pop("SYNCER_SOURCE__BASE_URL")
        place.write_config(f'{FOLLOWING}[source]\nbase_url = "{base_url}"\n')
        async with place.start("run") as daemon:
            await daemon.until_poll()
            place.write_config(f'{FOLLOWING}[source]\nbase_url = "http://127.0.0.1:0/v1"\n')
            daemon.send(signal.SIGHUP)
            ended = await daemon.end()

        assert f"first filled from {base_url}" in ended.failed_with(2)


async def test_a_daemon_ends_with_3_when_a_newer_build_has_migrated_its_database(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P8: found out when it next opens the database, and not worked on."""
    place.write_config(FOLLOWING)
    async with serve(models=20), place.start("run") as daemon:
        await daemon.until_poll()
        await execute(migrated_database_url, AHEAD)
        daemon.send(signal.SIGHUP)
        ended = await daemon.end()

        assert "this build knows" in ended.failed_with(3)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_daemon_at_once_and_with_0(
    place: Place, serve: Serve, migrated_database_url: str, signum: signal.Signals
) -> None:
    """P8: a service that was told to stop has not failed, however often it was told."""
    async with serve(models=20), models_locked(migrated_database_url) as is_waited_for:
        async with place.start("run") as daemon:
            await daemon.until(is_waited_for, "a statement that waits")
            daemon.send(signum)
            await daemon.until_event("shutdown_requested")
            assert daemon.is_alive
            ended = await daemon.stop(signum, within_s=5)

        assert 0 == ended.code, ended.stderr
        assert 0 == ended.stderr.count("shutdown_finished")
