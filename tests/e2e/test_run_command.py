"""``syncer run``: follows the source, waits out what time mends, ends when it is told to."""

from __future__ import annotations

import signal
from urllib.parse import urlsplit

import pytest
from support.command import Place, Running
from support.serving import Serve
from support.stored import assert_mirrors, count_models, lease_holder, live_bodies
from support.tcp_proxy import address_of, proxy_to, through

FAST = '[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n'
SLOW = '[[catalog]]\nname = "public"\npoll_interval_s = 3600\n'


async def until_mirrored(running: Running, url: str, model_id: str, name: str) -> None:
    """Wait until the mirror has a model under this name."""

    async def has_it() -> bool:
        return (await live_bodies(url)).get(model_id, {}).get("name") == name

    await running.until(has_it, f"model {model_id} named {name}")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0_and_the_lease_is_released(
    place: Place, serve: Serve, migrated_database_url: str, signum: signal.Signals
) -> None:
    async with serve(models=60) as source, place.start("run") as daemon:
        await daemon.until_poll()
        ended = await daemon.stop(signum)

        assert ended.code == 0, ended.stderr
        assert [line for line in ended.events if line["event"] == "shutdown_requested"]
        assert ended.events[-1]["event"] == "shutdown_finished"
        assert await lease_holder(migrated_database_url) is None
        await assert_mirrors(migrated_database_url, source)


async def test_it_follows_what_is_added_and_changed(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    async with serve(models=60) as source, place.start("run") as daemon:
        await daemon.until_poll()
        added = source.add_model(name="new here")["id"]
        await until_mirrored(daemon, migrated_database_url, added, "new here")
        source.update_model(added, name="renamed")
        await until_mirrored(daemon, migrated_database_url, added, "renamed")
        ended = await daemon.stop()

        assert ended.code == 0
        await assert_mirrors(migrated_database_url, source)


async def test_an_invalid_file_on_sighup_is_reported_and_the_old_one_stays_in_force(
    place: Place, serve: Serve
) -> None:
    place.write_config(FAST)
    async with serve(models=60) as source, place.start("run") as daemon:
        await daemon.until_poll()
        place.write_config('[[catalog]]\nname = "public"\npol_interval_s = 5\n')
        daemon.send(signal.SIGHUP)
        await daemon.until_event("config_rejected")
        asked = len(source.requests)
        await daemon.until(lambda: len(source.requests) >= asked + 3, "three more polls")
        ended = await daemon.stop()

        (rejected,) = [line for line in ended.events if line["event"] == "config_rejected"]
        assert "pol_interval_s" in rejected["error"]
        assert "poll_interval_s" in rejected["error"] + rejected["hint"]
        assert ended.code == 0, ended.stderr


async def test_a_valid_file_on_sighup_is_in_force_at_once(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(SLOW)
    async with serve(models=60) as source, place.start("run") as daemon:
        await daemon.until_poll()
        place.write_config(FAST)
        daemon.send(signal.SIGHUP)
        await daemon.until_event("config_reloaded")
        asked = len(source.requests)
        await daemon.until(lambda: len(source.requests) >= asked + 3, "three more polls")
        added = source.add_model(name="new here")["id"]
        await until_mirrored(daemon, migrated_database_url, added, "new here")

        assert (await daemon.stop()).code == 0


async def test_it_waits_for_a_database_that_is_not_there_yet(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=60) as source:
        place.set(database__url=through(proxy, migrated_database_url))
        async with place.start("run") as daemon:
            await daemon.until_event("database_unavailable")
            assert source.requests == []
            await proxy.restore()
            await daemon.until_poll()
            ended = await daemon.stop()

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_it_goes_on_after_the_database_was_away(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    place.set(lease__ttl_s=3, limits__retry_deadline_s=1)
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=60) as source:
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        async with place.start("run") as daemon:
            await daemon.until_poll()
            await proxy.cut()
            await daemon.until_event("cycle_failed")
            added = source.add_model(name="added meanwhile")["id"]
            await proxy.restore()
            await until_mirrored(daemon, migrated_database_url, added, "added meanwhile")
            ended = await daemon.stop()

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source)
        # Said in our words: a library that retries by itself would fill the log with tracebacks.
        assert [line for line in ended.events if line["event"] == "library_reported"] == []


async def test_it_ends_promptly_while_the_database_is_away(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=60):
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        async with place.start("run") as daemon:
            await daemon.until_poll()
            await proxy.cut()
            await daemon.until(
                lambda: daemon.count("cycle_failed") or daemon.count("retry_scheduled"),
                "a word about the database",
            )
            ended = await daemon.stop(within_s=10)

        assert ended.code == 0, ended.stderr
        assert "Traceback" not in ended.stderr


async def test_it_goes_on_after_the_source_was_away(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    place.set(limits__retry_deadline_s=0.5)
    async with serve(models=60) as source:
        target = urlsplit(place.environment["SYNCER_SOURCE__BASE_URL"])
        async with proxy_to((str(target.hostname), target.port or 0)) as proxy:
            place.set(source__base_url=f"http://127.0.0.1:{proxy.port}/v1")
            await proxy.restore()
            async with place.start("run") as daemon:
                await daemon.until_poll()
                await proxy.cut()
                await daemon.until_event("cycle_failed")
                await proxy.restore()
                added = source.add_model(name="added meanwhile")["id"]
                await until_mirrored(daemon, migrated_database_url, added, "added meanwhile")
                ended = await daemon.stop()

        assert ended.code == 0, ended.stderr


async def test_refused_credentials_are_waited_out(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    async with serve(models=60) as source:
        source.add_fault("unauthorized")
        async with place.start("run") as daemon:
            await daemon.until_event("cycle_failed", error_type="SourceRefused")
            source.clear_faults()
            await daemon.until_poll()

            assert (await daemon.stop()).code == 0
        assert await count_models(migrated_database_url) == 60


async def test_of_two_one_works_and_the_other_stands_by_until_the_first_has_ended(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    place.set(lease__ttl_s=1)
    async with serve(models=60) as source, place.start("run") as first:
        await first.until_poll()
        async with place.start("run") as second:
            await second.until_event("standby_started")
            assert second.is_alive
            assert second.count("cycle_finished") == 0
            assert str(first.process.pid) in second.stderr
            assert (await first.stop()).code == 0
            added = source.add_model(name="for the second")["id"]
            await until_mirrored(second, migrated_database_url, added, "for the second")

            assert (await second.stop()).code == 0


async def test_the_embedded_database_serves_the_daemon_and_a_command_at_once(
    bare_place: Place, serve: Serve
) -> None:
    async with serve(models=60), bare_place.start("run") as daemon:
        await daemon.until_poll()
        status = await bare_place.run("status", "--json")
        ended = await daemon.stop()

        assert status.document["catalogs"][0]["live_models"] == 60
        assert ended.code == 0, ended.stderr
        assert not list((bare_place.home / "data").rglob("postmaster.pid"))


async def test_an_unusable_configuration_ends_it_with_2(bare_place: Place) -> None:
    bare_place.write_config("[source]\npage_sice = 5\n")

    assert "page_size" in (await bare_place.run("run")).failed_with(2)


async def test_a_token_that_lives_a_minute_is_refused(bare_place: Place) -> None:
    bare_place.environment["SCENARIO_SDK_JWT"] = "a.b.c"

    assert "SCENARIO_SDK_JWT_FILE" in (await bare_place.run("run")).failed_with(2)
