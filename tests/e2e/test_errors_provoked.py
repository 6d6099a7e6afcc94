"""
The catalogue of errors, walked through the command line: each kind is really provoked, says what
happened and what to do next, ends with its documented code and shows no traceback.

A kind that no command can show has its reason here.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable

import pytest
from support.command import Ended, Place
from support.postgres import execute
from support.serving import Gate, Serve

from syncer import errors

DRAWN = re.findall(r"[├└]─ (\w+) +[a-z ]+? +exit \d+", errors.__doc__ or "")
SETTLED_INSIDE = {
    "StoreConflict": "the store tries again until it is settled",
    "RowUnstorable": "the model goes into quarantine, which the command counts",
    "Postponed": "only between the sweep and the orders of one daemon",
}
NOT_OF_THE_CATALOG = {
    "CatalogPinned": "what is mirrored is as it was, and nothing of it was touched",
    "LeaseHeld": "somebody else does the work",
    "LeaseLost": "somebody else does the work",
}
"""Of these ``status`` has nothing to tell."""
AHEAD = """
    INSERT INTO syncer.migration (number, name, checksum, oldest_compatible)
    SELECT max(number) + 1, 'come_from_the_future', 'unknown', max(number) + 1 FROM syncer.migration
"""
SMALL = {"source__page_size": 10, "source__max_concurrency": 1}
IMPATIENT = {"limits__retry_deadline_s": 0.3}

Provoke = Callable[[Place, Serve, str], Awaitable[Ended]]


def struck_by(fault: str, **keys: object) -> Provoke:
    """A source with a fault that never ends."""

    async def provoke(place: Place, serve: Serve, _url: str) -> Ended:
        place.set(**keys)
        async with serve(models=40, faults=(fault,)):
            return await place.run("sync")

    return provoke


def interfered(statement: str) -> Provoke:
    """Somebody changes our tables between two pages of a backfill."""

    async def provoke(place: Place, serve: Serve, url: str) -> Ended:
        place.set(**SMALL)
        async with serve(models=60) as source:
            gate = Gate(source, after=2)
            async with place.start("backfill") as running:
                await running.until(lambda: gate.waiting, "a request that waits")
                await execute(url, statement)
                gate.open()
                return await running.end()

    return provoke


def stopped_by(signum: signal.Signals) -> Provoke:
    """A signal in the middle of a backfill."""

    async def provoke(place: Place, serve: Serve, _url: str) -> Ended:
        place.set(**SMALL)
        async with serve(models=60) as source:
            gate = Gate(source, after=2)
            async with place.start("backfill") as running:
                await running.until(lambda: gate.waiting, "a request that waits")
                return await running.stop(signum)

    return provoke


async def misconfigured(place: Place, _serve: Serve, _url: str) -> Ended:
    place.write_config("[source]\npage_size = 0\n")
    return await place.run("sync")


async def from_another_source(place: Place, serve: Serve, _url: str) -> Ended:
    async with serve(models=5):
        await place.run("sync")
    async with serve(models=5, seed=2):
        return await place.run("sync")


async def without_a_source(place: Place, _serve: Serve, _url: str) -> Ended:
    place.set(**IMPATIENT)
    return await place.run("sync")


async def without_a_database(place: Place, serve: Serve, _url: str) -> Ended:
    place.set(database__url="postgresql://somebody@127.0.0.1:1/nothing", **IMPATIENT)
    async with serve(models=5):
        return await place.run("sync")


async def on_a_newer_schema(place: Place, _serve: Serve, url: str) -> Ended:
    await execute(url, AHEAD)
    return await place.run("status")


async def with_most_models_gone(place: Place, serve: Serve, _url: str) -> Ended:
    async with serve(models=60) as source:
        await place.run("sync")
        for model_id in list(source.live_models())[:40]:
            source.remove_model(model_id)
        return await place.run("sync")


async def while_another_works(place: Place, serve: Serve, _url: str) -> Ended:
    place.set(**SMALL)
    async with serve(models=60) as source:
        gate = Gate(source, after=1)
        async with place.start("backfill") as first:
            await first.until(lambda: gate.waiting, "a request that waits")
            second = await place.run("backfill")
            gate.open()
            await first.end()
            return second


async def too_slowly(place: Place, serve: Serve, _url: str) -> Ended:
    place.set(**SMALL)
    async with serve(models=60) as source:
        gate = Gate(source, after=2)
        async with place.start("backfill", "--deadline", "1") as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            return await running.end()


PROVOKED: dict[str, Provoke] = {
    "ConfigError": misconfigured,
    "CatalogPinned": from_another_source,
    "SourceUnavailable": without_a_source,
    "SourceThrottled": struck_by("rate-limit-bare", **IMPATIENT),
    "SourceRefused": struck_by("unauthorized"),
    "SourceRejected": struck_by("error-400"),
    "SourceLimitReached": struck_by("plan-limit"),
    "PageTooLarge": struck_by("oversized-page", limits__max_page_bytes=2_000),
    "WalkBroken": struck_by("unsorted-page"),
    "StoreUnavailable": without_a_database,
    "CheckpointMoved": interfered("UPDATE syncer.checkpoint SET seq = seq + 7"),
    "SchemaMismatch": on_a_newer_schema,
    "SweepRefused": with_most_models_gone,
    "LeaseHeld": while_another_works,
    "LeaseLost": interfered("UPDATE syncer.lease SET epoch = epoch + 1, holder = 'rival:1'"),
    "DeadlineReached": too_slowly,
    "Stopped": stopped_by(signal.SIGTERM),
    "Interrupted": stopped_by(signal.SIGINT),
}
SAID = {
    "ConfigError": "page_size",
    "CatalogPinned": "first filled from",
    "SourceThrottled": "429",
    "SourceRefused": "401",
    "SourceRejected": "400",
    "SourceLimitReached": "limit is reached",
    "PageTooLarge": "2000 bytes",
    "WalkBroken": "comes after a later one",
    "CheckpointMoved": "commit",
    "SchemaMismatch": "this build knows",
    "SweepRefused": "--allow-removals 40",
    "LeaseHeld": "is held by",
    "LeaseLost": "epoch 1 is over",
    "DeadlineReached": "deadline of 1 s",
    "Stopped": "SIGTERM",
    "Interrupted": "Ctrl-C",
}


def test_the_catalogue_is_walked_to_its_end() -> None:
    """A new class is provoked, or says why it cannot be."""
    assert DRAWN
    assert sorted(DRAWN) == sorted([*PROVOKED, *SETTLED_INSIDE])
    assert PROVOKED.keys() & SETTLED_INSIDE.keys() == set()


@pytest.mark.parametrize("name", PROVOKED)
async def test_every_kind_of_error_says_what_happened_and_what_to_do_and_ends_as_documented(
    place: Place, serve: Serve, migrated_database_url: str, name: str
) -> None:
    ended = await PROVOKED[name](place, serve, migrated_database_url)
    said = ended.failed_with(getattr(errors, name).exit_code)
    shown = [line for line in said.splitlines() if not line.startswith("{")]
    errors_, fixes = (
        [line for line in shown if line.startswith(start)] for start in ("error: ", "  fix: ")
    )

    assert len(errors_) == len(fixes) >= 1
    assert all(len(line.split()) >= 5 for line in errors_)
    assert all(line.endswith((".", ".)")) for line in fixes)
    assert SAID.get(name, "") in said
    # What is said is not what only a developer can mend.
    assert errors.BUG_HINT not in said


@pytest.mark.parametrize("name", sorted(PROVOKED.keys() - NOT_OF_THE_CATALOG.keys()))
async def test_status_afterwards_needs_no_log_to_tell_what_to_do(
    place: Place, serve: Serve, migrated_database_url: str, name: str
) -> None:
    """P8: what a cron job's mail has lost is still in the database, with its remedy."""
    await PROVOKED[name](place, serve, migrated_database_url)
    if name == "StoreUnavailable":
        place.set(database__url=migrated_database_url)
    ended = await place.run("status")
    if ended.code in {2, 3}:
        assert "fix: " in ended.stderr
        return
    shown = ended.stdout.splitlines()
    wrong = [line for line in shown if line.startswith("! ")]

    assert ended.code == 0
    assert len(wrong) == sum(line.startswith("  fix: ") for line in shown) >= 1


async def test_several_problems_of_a_configuration_are_said_at_once(bare_place: Place) -> None:
    bare_place.write_config('[source]\npage_size = 0\nauth = "magic"\n[lease]\nttl_s = 0\n')
    said = (await bare_place.run("sync")).failed_with(2)

    assert all(key in said for key in ("page_size", "auth", "ttl_s"))


async def test_a_catalog_that_is_not_configured_is_refused_with_those_that_are(
    bare_place: Place,
) -> None:
    said = (await bare_place.run("sync", "--catalog", "publik")).failed_with(2)

    assert "there is no catalog 'publik'" in said
    assert "Name one of those that are: public." in said


async def test_a_second_signal_also_ends_without_a_traceback(place: Place, serve: Serve) -> None:
    place.set(**SMALL)
    async with serve(models=60) as source:
        gate = Gate(source, after=2)
        async with place.start("backfill") as running:
            await running.until(lambda: gate.waiting, "a request that waits")
            running.send(signal.SIGTERM)
            await asyncio.sleep(0)
            running.send(signal.SIGTERM)
            ended = await running.end()

    assert ended.code == 143
    assert "Traceback" not in ended.stderr
