"""Two real processes on one database: started together, parted, frozen for a moment, killed."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest
from support.command import Ended, Place, Running
from support.frozen import freeze, models_by_epoch, thaw, written
from support.serving import Gate, Serve
from support.stored import (
    assert_mirrors,
    count_models,
    fetch_value,
    lease_holder,
    live_bodies,
)
from support.tcp_proxy import address_of, proxy_to, through

FAST = '[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n'
SLOW = '[[catalog]]\nname = "public"\npoll_interval_s = 3600\n'
MODELS = 60
BATTLES = 12


async def until_mirrored(running: Running, url: str, model_id: str) -> None:
    async def has_it() -> bool:
        return model_id in await live_bodies(url)

    await running.until(has_it, f"model {model_id}")


async def test_two_that_start_together_on_an_empty_database_share_the_work_in_peace(
    place: Place, serve: Serve, database_url: str
) -> None:
    """P9: both migrate, both register, one works and the other stands by."""
    place.write_config(SLOW)
    place.set(database__url=database_url, lease__ttl_s=1)
    async with (
        serve(models=MODELS) as source,
        place.start("run") as one,
        place.start("run") as two,
    ):
        both = (one, two)
        await one.until(lambda: any(each.polls() for each in both), "a poll")
        await one.until(lambda: any(each.count("standby_started") for each in both), "a standby")
        ended = [await each.stop() for each in both]

        assert [0, 0] == [each.code for each in ended]
        assert [MODELS] == list((await models_by_epoch(database_url)).values())
        assert "Traceback" not in "".join(each.stderr for each in ended)
        await assert_mirrors(database_url, source)


async def test_two_backfills_at_once_end_with_0_and_4(
    place: Place, serve: Serve, database_url: str
) -> None:
    """P8: the one that did the work says so, the other names it."""
    place.set(database__url=database_url)
    async with serve(models=MODELS) as source:
        gate = Gate(source)
        async with place.start("backfill") as one, place.start("backfill") as two:
            # Both are asked to; whoever gets the lease waits for its first answer until then.
            await one.until(lambda: gate.waiting and not (one.is_alive and two.is_alive), "a loser")
            gate.open()
            ended = [await one.end(), await two.end()]

        assert [0, 4] == sorted(each.code for each in ended)
        winner, loser = sorted((one, two), key=lambda each: each.process.returncode or 0)
        assert f":{winner.process.pid}" in loser.stderr
        await assert_mirrors(database_url, source)


async def test_a_holder_that_is_parted_from_the_database_is_succeeded_and_stands_by_afterwards(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P3: both follow the source meanwhile, one of them in vain."""
    url = migrated_database_url
    place.write_config(FAST)
    place.set(lease__ttl_s=1, limits__retry_deadline_s=1)
    async with proxy_to(address_of(url)) as proxy, serve(models=MODELS) as source:
        await proxy.restore()
        place.set(database__url=through(proxy, url))
        async with place.start("run") as first:
            await first.until_poll()
            place.set(database__url=url)
            async with place.start("run") as second:
                await second.until_event("standby_started")
                await proxy.cut()
                source.update_model(next(iter(source.live_models())), name="changed meanwhile")
                added = source.add_model()["id"]
                await until_mirrored(second, url, added)
                await proxy.restore()
                await first.until_event("lease_lost")
                await first.until_event("standby_started")

                assert {1: MODELS - 1, 2: 2} == await models_by_epoch(url)
                assert str(second.process.pid) in str(await lease_holder(url))
                assert second.count("lease_lost") == 0
                # And back: it was no death.
                assert (await second.stop()).code == 0
                last = source.add_model()["id"]
                await until_mirrored(first, url, last)
                assert (await first.stop()).code == 0
        await assert_mirrors(url, source)


async def test_a_holder_whose_cable_is_cut_is_succeeded_although_nobody_hears_of_it(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P6: no reset, no farewell: its connections only stop, one of them in a page."""
    url = migrated_database_url
    place.write_config(SLOW)
    place.set(lease__ttl_s=1, source__page_size=10, source__max_concurrency=1)
    async with proxy_to(address_of(url)) as proxy, serve(models=MODELS) as source:
        await proxy.restore()
        place.set(database__url=through(proxy, url))
        gate = Gate(source, after=2)
        async with place.start("run") as first:
            await first.until(lambda: gate.waiting, "a request that waits")
            proxy.delay_s = 3600
            gate.open()
            place.set(database__url=url)
            async with place.start("run") as second:
                await second.until_poll()
                before = await written(url)
                await first.until_event("database_unavailable")
                await proxy.cut()
                proxy.delay_s = 0
                await proxy.restore()
                await first.until_event("lease_lost")
                await first.until_event("standby_started")

                assert before == await written(url)
                assert (await second.stop()).code == 0
                assert (await first.stop()).code == 0
        await assert_mirrors(url, source)


async def test_a_holder_that_was_frozen_for_a_moment_goes_on_as_if_nothing_had_been(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P9: who stands by asks meanwhile, and waits."""
    url = migrated_database_url
    place.write_config(FAST)
    place.set(lease__ttl_s=600)
    async with serve(models=MODELS) as source, place.start("run") as first:
        await first.until_poll()
        await freeze(first)
        refused = await place.run("sync")
        added = source.add_model()["id"]
        thaw(first)
        await until_mirrored(first, url, added)

        assert f":{first.process.pid}" in refused.failed_with(4)
        assert 1 == await fetch_value(url, "SELECT epoch FROM syncer.lease")
        assert (await first.stop()).code == 0


async def test_a_command_that_does_not_know_a_catalog_does_not_hide_what_a_daemon_works_on(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P9: somebody holds its lease, so it is configured somewhere."""
    url = migrated_database_url
    place.write_config(SLOW)
    async with serve(models=MODELS), place.start("run") as daemon:
        await daemon.until_poll()
        place.write_config(SLOW.replace("public", "other"))
        ended = await place.run("sync")

        assert ended.code == 0, ended.stderr
        assert str(daemon.process.pid) in str(await lease_holder(url))
        assert MODELS == await count_models(url)


async def test_two_runs_within_a_minute_keep_to_one_budget_together(
    place: Place, serve: Serve
) -> None:
    """P7: no more than max_requests_per_minute in any 60 s, by all processes together."""
    place.set(source__max_requests_per_minute=3, source__page_size=10)
    async with serve(models=400) as source:
        ended = [await place.run("backfill", "--deadline", "0.5") for _ in range(2)]

        assert [7, 7] == [each.code for each in ended]
        assert len(source.requests) <= 3


async def test_a_process_that_is_killed_and_started_again_within_the_minute_causes_no_429(
    place: Place, serve: Serve
) -> None:
    """P7: nobody knows what the killed one had sent, so all that it held stays unused."""
    place.set(source__max_requests_per_minute=6, source__page_size=10)
    async with serve(models=400, rate_per_minute=6) as source:
        gate = Gate(source, after=2)
        async with place.start("backfill") as victim:
            await victim.until(lambda: gate.waiting, "a request that waits")
            await victim.stop(signal.SIGKILL)
        gate.open()
        ended = await place.run("backfill", "--deadline", "3")

        assert 7 == ended.code, ended.stderr
        assert {200} == {each.status for each in source.requests}
        # The killed one held four of the six, or all: then there was nothing left to ask with.
        assert 2 <= len(source.requests) <= 6


async def test_a_daemon_and_a_backfill_beside_it_keep_to_one_budget(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P7: the daemon has used a part of the budget; what it does not need the backfill has."""
    limit = 30
    place.write_config(SLOW)
    place.set(source__max_requests_per_minute=limit, source__page_size=10)
    async with serve(models=150, rate_per_minute=limit) as source, place.start("run") as daemon:
        await daemon.until_poll()
        used = len(source.requests)
        place.write_config(SLOW.replace("public", "other"))
        ended = await place.run("backfill", "--deadline", "5")
        daemon_ended = await daemon.stop()

        assert (7, 0) == (ended.code, daemon_ended.code), ended.stderr
        assert {200} == {each.status for each in source.requests}
        # One is the daemon's reserve.
        assert used < limit - 1 <= len(source.requests) <= limit
        assert 0 == await fetch_value(
            migrated_database_url, "SELECT count(*) FROM syncer.allowance"
        )


@pytest.mark.long
async def test_two_that_are_killed_again_and_again_leave_a_mirror_that_is_right(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P1: a source that changes, two processes that follow it, and no mercy."""
    url = migrated_database_url
    rng = random.Random(7)  # noqa: S311 - the same blows in each run
    place.write_config(FAST)
    place.set(lease__ttl_s=1, source__page_size=20, source__max_concurrency=2)
    async with serve(models=400) as source:

        async def fall() -> Ended:
            async with place.start("run") as running:
                await asyncio.sleep(rng.uniform(0.5, 1.5))
                return await running.stop(rng.choice([signal.SIGKILL, signal.SIGTERM]))

        async def fight() -> None:
            for _ in range(BATTLES):
                ended = await fall()
                assert ended.code in {0, -signal.SIGKILL}, ended.stderr
                source.update_model(rng.choice(list(source.live_models())), name=str(rng.random()))
                source.add_model()

        async with asyncio.TaskGroup() as group:
            group.create_task(fight())
            group.create_task(fight())
        last = await place.run("sync")

        assert last.code == 0, last.stderr
        await assert_mirrors(url, source)
