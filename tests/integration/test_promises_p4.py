"""P4, one transaction: rows, checkpoint and quarantine commit together or not at all."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from support.commit_cutter import CommitCutter
from support.commits import Series, broken_promises, commits_cancelled_everywhere
from support.history import lies
from support.mirror import START, Mirror, SourceTime, add_models, mirroring, new_source, spread
from support.scenes import add_newest
from support.tcp_proxy import through

from syncer.errors import CheckpointMoved, StoreUnavailable
from syncer.store.pool import translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.interrupt import When

LONG_AGO = START - timedelta(days=100)
PAGES = 12


@asynccontextmanager
async def walked(url: str, **keys: object) -> AsyncIterator[Mirror]:
    """A source of a dozen pages that are read one after the other."""
    time = SourceTime()
    source = new_source(time)
    add_models(
        source, PAGES * 10, "m", createdAt=spread(LONG_AGO, step_ms=86_400), updatedAt=LONG_AGO
    )
    add_newest(source)
    chosen = {"source__page_size": 11, "source__max_concurrency": 1} | keys
    async with mirroring(url, source, time=time, **chosen) as mirror:
        yield mirror


@contextmanager
def asyncpg_may_complain() -> Iterator[None]:
    """asyncpg reports to the loop what a session that the server ended leaves behind."""
    loop = asyncio.get_running_loop()
    report = loop.call_exception_handler

    def note(context: dict[str, Any]) -> None:
        reset = str(context.get("message")).startswith("Resetting connection")
        if not reset and not isinstance(context.get("exception"), asyncpg.PostgresConnectionError):
            report(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_exception_handler", note)
        yield
        gc.collect()


@pytest.mark.parametrize("when", ["while", "after"])
async def test_a_commit_cancelled_at_any_await_leaves_what_the_checkpoint_claims(
    migrated_database_url: str, when: When
) -> None:
    """P4: wherever a commit is cancelled, rows, quarantine and checkpoint agree."""
    broken, unnoticed = await commits_cancelled_everywhere(migrated_database_url, when)

    assert [] == broken
    # The outcome is unknown to the caller, not the same as "not committed".
    assert unnoticed > 0


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_connection_lost_at_the_commit_is_found_out_and_nothing_is_stored_twice(
    migrated_database_url: str, where: str
) -> None:
    """P4: a broken commit has an unknown outcome; the checkpoint is asked, nothing is inferred."""
    proxy = CommitCutter(migrated_database_url, where)
    await proxy.restore()
    try:
        async with walked(migrated_database_url) as mirror:
            mirror.source.on_request = lambda _: setattr(
                proxy, "armed", 1 if len(mirror.source.requests) % 3 == 2 else proxy.armed
            )
            done = await mirror.sync(database__url=through(proxy, migrated_database_url))

            assert [] == await mirror.differences()
            assert [] == await lies(mirror.observer)
            assert done.complete
            assert proxy.struck >= 3
            assert done.requests <= PAGES + 3
    finally:
        await proxy.close()


async def test_a_session_that_the_server_ends_costs_no_page_and_no_row(
    migrated_database_url: str,
) -> None:
    """P4: the server ends our sessions between and within commits; the run ends exact."""
    async with walked(migrated_database_url) as mirror:

        async def kill(_params: dict[str, str]) -> None:
            # From the second page on: what comes before is no page, and asked for again by hand.
            if len(mirror.source.requests) == 0:
                return
            await mirror.value(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'syncer'"
            )

        mirror.source.on_request = kill
        with asyncpg_may_complain():
            done = await mirror.sync()

        assert [] == await mirror.differences()
        assert [] == await lies(mirror.observer)
        assert done.complete


async def test_a_job_cancelled_at_any_answer_goes_on_from_its_last_page(
    migrated_database_url: str,
) -> None:
    """P4: no cancellation of a whole job loses a committed page or claims one that is not there."""
    async with walked(migrated_database_url) as mirror:
        for answer in range(1, PAGES):
            asked = len(mirror.source.requests)
            await run_and_cancel(mirror, at_request=asked + 1 + answer % 3)
            claimed = await mirror.value("SELECT coalesce(sum(pages), 0) FROM syncer.checkpoint")
            stored = await mirror.value("SELECT count(*) FROM scenario.models")

            # Pages overlap by the row that the next one steps from.
            assert stored == (10 * claimed + 1 if claimed else 0)
        mirror.source.on_request = None
        done = await mirror.sync()

        assert [] == await mirror.differences()
        assert done.complete


async def run_and_cancel(mirror: Mirror, *, at_request: int) -> None:
    """Start a backfill and cancel it before an answer is computed."""
    async with asyncio.TaskGroup() as group:
        job = group.create_task(mirror.backfill(), name="job")

        async def cancel(_params: dict[str, str]) -> None:
            if len(mirror.source.requests) + 1 == at_request:
                job.cancel()

        mirror.source.on_request = cancel


async def test_a_page_of_a_checkpoint_that_somebody_moved_is_not_written(
    migrated_database_url: str,
) -> None:
    """P4: a checkpoint moves by compare-and-set; what follows another state writes nothing."""
    async with mirroring(migrated_database_url) as mirror, mirror.context() as context:
        series = await Series.begin(context)
        await series.commit_next(await series.checkpoint())
        before = await series.checkpoint()
        await mirror.value("UPDATE syncer.checkpoint SET seq = seq + 5 RETURNING seq")

        with pytest.raises(CheckpointMoved, match="is at commit 6, this page follows commit 1"):
            await series.commit_next(before)
        await mirror.value("UPDATE syncer.checkpoint SET seq = seq - 5 RETURNING seq")

        assert [] == await broken_promises(mirror, before)


async def test_the_same_page_committed_twice_counts_once(migrated_database_url: str) -> None:
    """P4: a repeated commit finds out that the first one was stored, and does nothing."""
    async with mirroring(migrated_database_url) as mirror, mirror.context() as context:
        series = await Series.begin(context)
        before = await series.checkpoint()
        await series.commit_next(before)
        await series.commit_next(before)

        assert [] == await broken_promises(mirror, await series.checkpoint())


async def test_what_asyncpg_makes_of_an_ended_session_is_a_lost_connection() -> None:
    """P4: an ended session is worth a retry, also where its roll-back failed and hid the cause."""

    def trip() -> None:
        try:
            raise asyncpg.InternalClientError(
                "cannot switch to state 15; another operation (2) is in progress"
            )
        finally:
            raise asyncpg.InterfaceError(
                "cannot perform operation: another operation is in progress"
            )

    with (
        pytest.raises(StoreUnavailable, match="the connection to the database was lost"),
        translate(),
    ):
        trip()
    # Two statements at once on one connection are our own mistake, and stay one.
    with pytest.raises(asyncpg.InterfaceError, match="another operation"), translate():
        raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
