"""``syncer forget``: who may be forgotten, who is asked first, what an interruption leaves."""

from __future__ import annotations

import os
import pty
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support.command import Ended, Place, Running
from support.postgres import execute
from support.retired import everything_of, fill, rows_left, slow_down
from support.serving import Serve
from support.stored import assert_mirrors, count_models, fetch_value, lease_holder

from syncer.clock import SystemClock
from syncer.store.lease import LeaseKeeper
from syncer.store.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOTHING = dict.fromkeys(
    (
        *("models", "model_changes", "model_details", "model_inputs", "detail_failure"),
        *("quarantine", "cycle", "catalog", "checkpoint"),
    ),
    0,
)
QUESTION = "Type 'yes' to remove it: "
MANY = 12_000
"""More than two batches."""


@pytest.fixture(name="url")
async def database_with_a_retired_catalog(migrated_database_url: str) -> str:
    """``old`` is retired, ``kept`` too; ``public`` is configured. The source is nobody's."""
    for name in ("kept", "old"):
        await fill(migrated_database_url, name)
    await fill(migrated_database_url, "public", retired=False)
    return migrated_database_url


@asynccontextmanager
async def at_a_terminal(place: Place, *arguments: object) -> AsyncIterator[tuple[Running, int]]:
    """A command with a terminal before it, and the end at which a person types."""
    person, terminal = pty.openpty()
    try:
        async with place.start(*arguments, stdin=terminal) as running:
            yield running, person
    finally:
        os.close(terminal)
        os.close(person)


async def answered(place: Place, typed: bytes) -> Ended:
    async with at_a_terminal(place, "forget", "old") as (running, person):
        await running.until(lambda: QUESTION in running.stderr, "the question")
        os.write(person, typed)
        return await running.end()


async def test_yes_removes_the_catalog_and_nothing_else(place: Place, url: str) -> None:
    others = [await everything_of(url, name) for name in ("kept", "public")]

    ended = await answered(place, b"yes\n")

    assert ended.code == 0, ended.stderr
    assert "forgot old: 20 models, 23 changes, 5 in quarantine and 4 cycles removed" in ended.stdout
    assert await rows_left(url, "old") == NOTHING
    assert [await everything_of(url, name) for name in ("kept", "public")] == others
    assert await lease_holder(url, "old") is None


async def test_the_question_says_what_would_go(place: Place, url: str) -> None:
    said = (await answered(place, b"no\n")).stderr

    assert "removes catalog 'old' from the database for good" in said
    assert "17 live and 3 removed models, 5 in quarantine" in said
    assert "retired since 2026-01-02 03:04 UTC" in said


@pytest.mark.parametrize("typed", [b"no\n", b"y\n", b"\n", b"\x04", b"\xff\xfe\n"])
async def test_any_other_answer_removes_nothing(place: Place, url: str, typed: bytes) -> None:
    before = await everything_of(url, "old")

    ended = await answered(place, typed)

    assert ended.code == 0, ended.stderr
    assert "nothing was removed" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert await everything_of(url, "old") == before


async def test_an_interrupt_at_the_question_removes_nothing(place: Place, url: str) -> None:
    before = await everything_of(url, "old")
    async with at_a_terminal(place, "forget", "old") as (running, _):
        await running.until(lambda: QUESTION in running.stderr, "the question")
        ended = await running.stop(signal.SIGINT, within_s=5)

    assert ended.code == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert await everything_of(url, "old") == before


async def test_without_a_terminal_nobody_can_be_asked(place: Place, url: str) -> None:
    before = await everything_of(url, "old")

    said = (await place.run("forget", "old")).failed_with(2)

    assert "standard input is not a terminal; nothing was removed" in said
    assert "'syncer forget old --yes'" in said
    assert await everything_of(url, "old") == before


async def test_yes_as_an_option_asks_nobody_neither_a_person_nor_the_source(
    place: Place, url: str
) -> None:
    """Credentials of other catalogs are no business of it either."""
    place.write_config('[[catalog]]\nname = "ours"\nprivacy = "private"\n')
    ended = await place.run("forget", "old", "--yes")

    assert ended.code == 0, ended.stderr
    assert QUESTION not in ended.stderr
    assert [line["models"] for line in ended.events if line["event"] == "catalog_forgotten"] == [20]
    assert await rows_left(url, "old") == NOTHING


@pytest.mark.parametrize("options", [(), ("--yes",)])
async def test_a_configured_catalog_is_refused(
    place: Place, url: str, options: tuple[str, ...]
) -> None:
    before = await everything_of(url, "public")

    said = (await place.run("forget", "public", *options)).failed_with(2)

    assert "catalog 'public' is configured" in said
    assert "Take it out of the configuration first" in said
    assert await everything_of(url, "public") == before


@pytest.mark.parametrize("name", ["nobody", "", b"a\xff".decode("utf-8", "surrogateescape")])
async def test_a_catalog_nobody_knows_is_refused_with_the_names_there_are(
    place: Place, url: str, name: str
) -> None:
    said = (await place.run("forget", name, "--yes")).failed_with(2)

    assert "there is no catalog '" in said
    assert "Retired catalogs: kept, old." in said


async def test_what_is_forgotten_is_unknown(place: Place, url: str) -> None:
    await place.run("forget", "old", "--yes")
    await place.run("forget", "kept", "--yes")

    said = (await place.run("forget", "old", "--yes")).failed_with(2)
    status = await place.run("status", "--json")

    assert "Retired catalogs: none." in said
    assert [each["name"] for each in status.document["catalogs"]] == ["public"]


async def test_before_anything_exists_nothing_is_started(bare_place: Place) -> None:
    said = (await bare_place.run("forget", "old", "--yes")).failed_with(2)

    assert "Retired catalogs: none." in said
    assert not (bare_place.home / "data").exists()


async def test_gone_from_the_configuration_is_enough(place: Place, url: str) -> None:
    """No process has worked without it yet, so the database has it as configured."""
    place.write_config('[[catalog]]\nname = "other"\n')
    async with at_a_terminal(place, "forget", "public") as (running, person):
        await running.until(lambda: QUESTION in running.stderr, "the question")
        os.write(person, b"YES\n")
        ended = await running.end()

    assert "no process has retired it yet; last complete cycle: 20" in ended.stderr
    assert ended.code == 0, ended.stderr
    assert await rows_left(url, "public") == NOTHING


async def test_a_living_holder_is_named_and_nothing_is_removed(place: Place, url: str) -> None:
    before = await everything_of(url, "old")
    keeper = LeaseKeeper(
        url=url, holder="elsewhere:42", ttl_s=600, clock=SystemClock(), queries=load_queries()
    )
    async with keeper:
        await keeper.acquire("old")
        said = (await place.run("forget", "old", "--yes")).failed_with(4)

    assert "the lease of catalog old is held by elsewhere:42" in said
    assert await everything_of(url, "old") == before


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
async def test_a_signal_in_between_leaves_it_retired_and_the_next_run_goes_on(
    place: Place, url: str, signum: signal.Signals, code: int
) -> None:
    await fill(url, "large", models=MANY)
    await slow_down(url, "STATEMENT", 1)
    async with place.start("forget", "large", "--yes") as running:

        async def one_batch_is_gone() -> bool:
            return (await rows_left(url, "large"))["models"] < MANY

        await running.until(one_batch_is_gone, "the first batch")
        ended = await running.stop(signum)
    left = await rows_left(url, "large")
    shown = await count_models(url, "large")
    await execute(url, "DROP FUNCTION public.dawdle CASCADE")
    again = await place.run("forget", "large", "--yes")

    assert ended.code == code, ended.stderr
    assert "Traceback" not in ended.stderr
    if code > 0:
        assert "Progress is kept" in ended.failed_with(code)
    assert 0 < left["models"] < MANY
    assert left["catalog"] == 1
    assert shown == 0
    assert again.code == 0, again.stderr
    assert f"forgot large: {left['models']:,} models" in again.stdout
    assert await rows_left(url, "large") == NOTHING


async def test_a_forgotten_catalog_that_is_configured_again_starts_from_nothing(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    both = '[[catalog]]\nname = "public"\n[[catalog]]\nname = "second"\n'
    place.write_config(both)
    async with serve(models=60):
        await place.run("sync")
    place.write_config('[[catalog]]\nname = "public"\n')
    forgotten = await place.run("forget", "second", "--yes")
    place.write_config(both)
    # Another source: nothing of the first one's may be remembered.
    async with serve(models=80, seed=2) as other:
        filled = await place.run("sync", "--catalog", "second")

        assert forgotten.code == 0, forgotten.stderr
        assert filled.code == 0, filled.stderr
        assert "second: backfill complete: 80 models read" in filled.stdout
        assert "80 inserted" in filled.stdout
        await assert_mirrors(migrated_database_url, other, "second")
        assert await count_models(migrated_database_url, "public") == 60
        assert 1 == await fetch_value(
            migrated_database_url, "SELECT count(*) FROM syncer.lease WHERE catalog = 'second'"
        )
