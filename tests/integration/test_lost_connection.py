"""What a page's commit does when its connection goes away while it writes."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from support.hand_made import make_batch, make_model
from support.mirror import Mirror, SourceTime, mirroring, new_source

from syncer.errors import StoreUnavailable
from syncer.store.effects import NoEffect

FAT = "x" * 400_000
"""Much more than the socket's buffers hold, so that COPY is waiting for room when it is hit."""

KILL_COPY = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'
"""

COPYING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'
"""


async def test_a_connection_lost_in_the_middle_of_copy_is_noticed_at_once(
    migrated_database_url: str,
) -> None:
    """P6: asyncpg waits for ever for room in the buffer of a connection that is gone; we do not."""
    source = new_source(SourceTime())
    batch = make_batch(*[make_model(f"m{number:03}", blob=FAT) for number in range(100)])
    async with (
        mirroring(migrated_database_url, source) as mirror,
        mirror.context() as context,
    ):
        # No limit will end the wait: without being told of the loss this test would hang.
        pages = dataclasses.replace(context.pages, statement_limit_s=3600.0)
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(_kill_until_hit(mirror))
            with pytest.raises(StoreUnavailable):
                await pages.commit_page(batch, NoEffect())
            await killing

        assert await mirror.value("SELECT count(*) FROM scenario.models") == 0


async def _kill_until_hit(mirror: Mirror) -> None:
    while not await mirror.value(KILL_COPY):
        await asyncio.sleep(0)


async def test_a_cancellation_in_the_middle_of_copy_is_not_taken_for_an_outage(
    migrated_database_url: str,
) -> None:
    """P6: the rollback that fails afterwards must not stand in for the cancellation."""
    source = new_source(SourceTime())
    batch = make_batch(*[make_model(f"m{number:03}", blob=FAT) for number in range(100)])
    async with (
        mirroring(migrated_database_url, source) as mirror,
        mirror.context() as context,
        asyncio.TaskGroup() as group,
    ):
        page = group.create_task(context.pages.commit_page(batch, NoEffect()))
        while not await mirror.value(COPYING):
            await asyncio.sleep(0)
        page.cancel()
        with pytest.raises(asyncio.CancelledError):
            await page

        assert await mirror.value("SELECT count(*) FROM scenario.models") == 0
