"""``syncer run`` under a service manager: a real process, real signals, a real datagram socket."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import Place
from support.manager import Ear, listening
from support.serving import Serve
from support.tcp_proxy import address_of, proxy_to, through

FAST = '[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n'


@pytest.fixture(name="ear")
def ear_fixture(bare_place: Place, tmp_path: Path) -> Iterator[Ear]:
    with listening(str(tmp_path / "notify")) as ear:
        bare_place.environment["NOTIFY_SOCKET"] = ear.address
        bare_place.environment["WATCHDOG_USEC"] = "400000"
        yield ear


async def test_it_is_ready_reloads_and_stops_aloud(place: Place, serve: Serve, ear: Ear) -> None:
    place.write_config(FAST)
    async with serve(models=60), place.start("run") as daemon:
        await daemon.until(lambda: ear.states == ["READY"], "READY")
        await daemon.until(lambda: "60 models, fresh" in ear.status, "a status line")
        await daemon.until(lambda: len(ear.of("WATCHDOG")) >= 3, "three signs of life")

        place.write_config("[source]\npage_sice = 5\n")
        daemon.send(signal.SIGHUP)
        await daemon.until(lambda: len(ear.states) == 3, "the end of the first reload")
        (rejected,) = [text for text in ear.of("STATUS") if "page_sice" in text]
        assert rejected.startswith("the earlier configuration stays: ")

        place.write_config(FAST)
        before_usec = time.monotonic_ns() // 1000
        daemon.send(signal.SIGHUP)
        await daemon.until(lambda: len(ear.states) == 5, "the end of the second reload")
        assert daemon.count("config_reloaded") == 1
        assert before_usec <= int(ear.of("MONOTONIC_USEC")[-1]) <= time.monotonic_ns() // 1000
        await daemon.until(lambda: "60 models, fresh" in ear.status, "a status line")
        ended = await daemon.stop()

    assert ended.code == 0, ended.stderr
    assert ear.states == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]
    assert ear.status == "stopping"


async def test_a_database_that_is_away_does_not_hang_the_start(
    place: Place, serve: Serve, ear: Ear, migrated_database_url: str
) -> None:
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=60):
        place.set(database__url=through(proxy, migrated_database_url))
        async with place.start("run") as daemon:
            await daemon.until(lambda: ear.states == ["READY"], "READY")
            assert ear.status.startswith("waiting: ")
            await proxy.restore()
            await daemon.until(lambda: "60 models, fresh" in ear.status, "a status line")

            assert (await daemon.stop()).code == 0
    assert ear.states == ["READY", "STOPPING"]


async def test_a_schema_that_does_not_fit_ends_it_with_3_and_it_was_never_ready(
    bare_place: Place, ear: Ear, database_url: str
) -> None:
    bare_place.set(database__url=database_url, database__migrate="manual")
    (await bare_place.run("run")).failed_with(3)

    assert ear.states == ["STOPPING"]
    assert ear.status.startswith("stopping: the database is empty, this build needs ")


async def test_an_unusable_configuration_ends_it_with_2_and_it_was_never_ready(
    bare_place: Place, ear: Ear
) -> None:
    bare_place.write_config("[source]\npage_sice = 5\n")
    (await bare_place.run("run")).failed_with(2)

    assert "READY" not in ear.states


async def test_a_reload_that_loses_the_database_url_is_rejected(
    place: Place, serve: Serve, ear: Ear
) -> None:
    """Taken, it would end the daemon with 2 at a time when nobody watches."""
    url = place.environment.pop("SYNCER_DATABASE__URL")
    place.write_config(f'[database]\nurl = "{url}"\n{FAST}')
    async with serve(models=60), place.start("run") as daemon:
        await daemon.until_poll()
        place.write_config(FAST)
        daemon.send(signal.SIGHUP)
        await daemon.until_event("config_rejected")
        polls = daemon.polls()
        await daemon.until_poll(polls + 2)
        ended = await daemon.stop()

    assert ended.code == 0, ended.stderr
    assert [text for text in ear.of("STATUS") if "there is no database" in text]


async def test_credentials_in_files_are_read_again(place: Place, serve: Serve, ear: Ear) -> None:
    key, secret = place.home / "key", place.home / "secret"
    key.write_text("api_first")
    secret.write_text("hush")
    place.environment |= {
        "SCENARIO_SDK_API_KEY_FILE": str(key),
        "SCENARIO_SDK_API_SECRET_FILE": str(secret),
    }
    place.write_config(FAST)
    async with serve(models=60, keys={"api_second": "hush"}) as source:
        async with place.start("run") as daemon:
            await daemon.until_event("cycle_failed", error_type="SourceRefused")
            key.write_text("api_second")
            daemon.send(signal.SIGHUP)
            await daemon.until_poll()

            assert (await daemon.stop()).code == 0
        assert source.requests
    assert "api_" not in "".join(ear.of("STATUS"))


async def test_the_level_of_the_log_follows_a_reload(place: Place, serve: Serve, ear: Ear) -> None:
    place.write_config(f'[log]\nlevel = "warning"\n{FAST}')
    async with serve(models=60), place.start("run") as daemon:
        await daemon.until(lambda: "fresh" in ear.status, "a status line")
        assert daemon.count("cycle_finished") == 0
        place.write_config(FAST)
        daemon.send(signal.SIGHUP)
        await daemon.until_event("cycle_finished")

        assert (await daemon.stop()).code == 0


async def test_a_manager_that_went_away_stops_nothing(place: Place, serve: Serve, ear: Ear) -> None:
    place.write_config(FAST)
    async with serve(models=60), place.start("run") as daemon:
        await daemon.until(lambda: ear.states == ["READY"], "READY")
        ear.leave()
        polls = daemon.polls()
        await daemon.until_poll(polls + 3)

        assert (await daemon.stop()).code == 0
