"""What is left when a command is killed or told to stop: all that was committed, nothing else."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest
from support.command import Place
from support.hangup import hangup_is
from support.locked import models_locked
from support.serving import Gate, Serve
from support.stored import assert_mirrors, count_models, fetch_value, lease_holder
from support.tcp_proxy import address_of, proxy_to, through

from syncer.simulator import SimulatedSource

KILLS = 20
MODELS = 4000
PAGE_SIZE = 25
WORKERS = 2
PAGES_IN_FLIGHT = 2 * WORKERS
"""Each worker has a page at the database and the next one at the source."""


class Executioner:
    """Kills a command shortly after the source has seen so many requests of it."""

    def __init__(self, source: SimulatedSource, rng: random.Random) -> None:
        self._rng = rng
        self._left = 0
        self._strike = lambda: None
        source.on_request = self._see

    def aim(self, process: asyncio.subprocess.Process, *, requests: int) -> None:
        """The next victim."""
        self._left, self._strike = requests, process.kill

    def rest(self) -> None:
        """Nobody is killed any more."""
        self._left = 0

    def _see(self, _: dict[str, str]) -> None:
        self._left -= 1
        if self._left == 0:
            # Somewhere between asking, storing and asking again.
            asyncio.get_running_loop().call_later(self._rng.uniform(0, 0.03), self._strike)


async def test_a_backfill_that_is_killed_twenty_times_is_complete_and_repeats_little(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    rng = random.Random(20)  # noqa: S311 - the same moments in each run
    place.set(source__page_size=PAGE_SIZE, source__max_concurrency=WORKERS)
    async with serve(models=MODELS, latency_ms=5) as source:
        executioner = Executioner(source, rng)
        stored = 0
        for _ in range(KILLS):
            async with place.start("backfill") as running:
                executioner.aim(running.process, requests=rng.randint(4, 9))
                ended = await running.end()
            assert ended.code == -signal.SIGKILL, ended
            assert "lease" not in ended.stdout + ended.stderr
            before, stored = stored, await count_models(migrated_database_url)
            assert stored >= before
        executioner.rest()
        last = await place.run("backfill")

        assert 0 < stored < MODELS
        assert last.code == 0, last.stderr
        await assert_mirrors(migrated_database_url, source)
        needed = MODELS / (PAGE_SIZE - 1)
        assert len(source.requests) < needed + (KILLS + 1) * (PAGES_IN_FLIGHT + 1)
        # Every run had a lease of its own at once: nobody waited for the dead holder's to run out.
        assert (
            await fetch_value(migrated_database_url, "SELECT epoch FROM syncer.lease") == KILLS + 1
        )


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)]
)
async def test_a_signal_ends_a_backfill_after_the_page_in_hand_and_progress_is_kept(
    place: Place, serve: Serve, migrated_database_url: str, signum: signal.Signals, code: int
) -> None:
    place.set(source__page_size=10, source__max_concurrency=WORKERS)
    async with serve(models=400) as source:
        gate = Gate(source, after=10)
        with hangup_is(signal.SIG_DFL):
            async with place.start("backfill") as running:
                await running.until(lambda: gate.waiting, "a request that waits")
                running.send(signum)
                await running.until_event("shutdown_requested")
                gate.open()
                ended = await running.end(within_s=10)
        kept, asked = await count_models(migrated_database_url), len(source.requests)
        holder = await lease_holder(migrated_database_url)
        rest = await place.run("backfill")

        assert "Progress is kept" in ended.failed_with(code)
        assert "public: backfill not complete" in ended.stdout
        assert 0 < kept < 400
        assert asked <= 10 + PAGES_IN_FLIGHT
        assert holder is None
        assert rest.code == 0, rest.stderr
        assert len(source.requests) - asked < 400 / 9
        await assert_mirrors(migrated_database_url, source)


async def test_under_nohup_a_terminal_that_closes_ends_nothing(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=60) as source:
        gate = Gate(source)
        with hangup_is(signal.SIG_IGN):
            async with place.start("backfill") as running:
                await running.until(lambda: gate.waiting, "a request that waits")
                running.send(signal.SIGHUP)
                gate.open()
                ended = await running.end()

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_a_source_that_does_not_answer_holds_up_the_end_for_ten_seconds_at_most(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=10)
    async with serve(models=100) as source:
        gate = Gate(source, after=2)
        async with place.start("backfill") as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            ended = await running.stop(signal.SIGTERM, within_s=10)
        gate.open()

        assert "Progress is kept" in ended.failed_with(143)
        assert await lease_holder(migrated_database_url) is None


async def test_a_second_signal_ends_it_at_once(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=100), models_locked(migrated_database_url) as is_waited_for:
        async with place.start("backfill") as running:
            await running.until(is_waited_for, "a statement that waits")
            running.send(signal.SIGTERM)
            await running.until_event("shutdown_requested")
            ended = await running.stop(signal.SIGTERM, within_s=2)

        assert ended.code == 143
        assert "Traceback" not in ended.stderr


async def test_a_first_signal_does_not_wait_for_an_answer(place: Place, serve: Serve) -> None:
    """Whatever comes after it, a second signal for one, does not change how it ends."""
    async with serve(models=100) as source:
        gate = Gate(source)
        async with place.start("backfill") as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            running.send(signal.SIGTERM)
            await running.until_event("shutdown_requested")
            ended = await running.stop(signal.SIGTERM, within_s=2)
        gate.open()

        assert ended.code == 143
        assert "Traceback" not in ended.stderr


async def test_the_lease_of_a_killed_daemon_is_free_at_once(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(lease__ttl_s=600)
    async with serve(models=60) as source:
        async with place.start("run") as daemon:
            await daemon.until_poll()
            daemon.process.kill()
            await daemon.end()
        source.add_model()
        ended = await place.run("sync")

        assert ended.code == 0, ended.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_of_two_commands_on_one_catalog_one_works_and_the_other_names_it(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=60) as source:
        gate = Gate(source)
        async with place.start("backfill") as first:
            await first.until(lambda: gate.waiting, "a request that waits")
            second = await place.run("sync")
            gate.open()
            ended = await first.end()

        said = second.failed_with(4)
        assert f":{first.process.pid}" in said
        assert "public" in said
        assert ended.code == 0, ended.stderr
        assert len(source.requests) == 1
        await assert_mirrors(migrated_database_url, source)


async def test_commands_on_different_catalogs_work_at_once(place: Place, serve: Serve) -> None:
    place.write_config(
        '[[catalog]]\nname = "everything"\n[[catalog]]\nname = "custom"\ntypes = ["custom"]\n'
    )
    async with serve(models=60) as source:
        gate = Gate(source)
        async with place.start("sync", "--catalog", "everything") as first:
            await first.until(lambda: gate.waiting == 1, "a request that waits")
            async with place.start("sync", "--catalog", "custom") as second:
                await second.until(lambda: gate.waiting == 2, "another request that waits")
                gate.open()
                ended = (await first.end(), await second.end())

        assert [each.code for each in ended] == [0, 0]


@pytest.mark.parametrize(("command", "code"), [("backfill", 143), ("run", 0)])
async def test_a_database_that_does_not_answer_holds_up_the_end_for_ten_seconds_at_most(
    place: Place, serve: Serve, migrated_database_url: str, command: str, code: int
) -> None:
    place.set(source__page_size=10)
    async with proxy_to(address_of(migrated_database_url)) as proxy, serve(models=100) as source:
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        gate = Gate(source, after=2)
        async with place.start(command) as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            proxy.delay_s = 3600
            gate.open()
            await running.until(lambda: len(source.requests) > 2, "another answer")
            ended = await running.stop(signal.SIGTERM, within_s=10)

        assert ended.code == code, ended.stderr
        assert "Traceback" not in ended.stderr
