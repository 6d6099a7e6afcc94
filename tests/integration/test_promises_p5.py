"""P5, idle is free: a source that did not change costs one request and no row."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from support import scenes
from support.mirror import SourceTime, engine_of, mirroring, new_source

from syncer.domain import Lane

if TYPE_CHECKING:
    from support.mirror import Mirror

POLLS = 3
ATTEMPTS = 2000
MAX_WAL_BYTES_PER_POLL = 4096
"""Two row locks, one row rewritten in place, one commit: a few hundred bytes when measured."""

ROWS_WRITTEN = """
SELECT schemaname || '.' || relname AS name, n_tup_ins + n_tup_upd + n_tup_del AS written
FROM pg_stat_user_tables
"""
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'syncer%'
"""


async def rows_written(mirror: Mirror) -> dict[str, int]:
    """By table, since the database was made; a session reports at the latest when it ends."""
    for _ in range(5000):
        if await mirror.value(SESSIONS) == 0:
            break
    records = await mirror.observer.fetch(ROWS_WRITTEN)
    return {record["name"]: record["written"] for record in records}


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize("volatile", [False, True])
async def test_an_idle_poll_is_one_request_and_one_small_row(
    migrated_database_url: str, *, volatile: bool
) -> None:
    """P5: no row in ``scenario``, and per poll one row in ``syncer`` apart from the lease.

    For the request budget a process writes when it begins and when it ends, and not for a poll.
    """
    time = SourceTime()
    source = new_source(time, models=300, volatile=volatile)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        time.advance(scenes.OVERLAP_S + 1)
        await mirror.sync()
        before = await rows_written(mirror)
        asked = len(source.requests)
        async with engine_of(mirror) as engine:
            for _ in range(POLLS):
                time.advance(60)
                outcome = await engine.follow(await engine.prepare())
                assert outcome.complete
        written = grown(before, await rows_written(mirror))

        assert POLLS == len(source.requests) - asked
        written.pop("syncer.lease", None)
        assert (2, 2) == (written.pop("syncer.allowance"), written.pop("syncer.budget"))
        assert {"syncer.catalog": POLLS} == written


async def test_an_idle_poll_hardly_writes_ahead(migrated_database_url: str) -> None:
    """P5: the log of an idle poll is a few hundred bytes, not a page of rows."""
    time = SourceTime()
    source = new_source(time, models=300)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        costs = []
        async with engine_of(mirror) as engine:
            # Others write to the same server meanwhile, some for half a minute: the least is what a
            # poll itself costs, and the first that was alone tells it.
            while len(costs) < ATTEMPTS and min(costs, default=inf) > MAX_WAL_BYTES_PER_POLL:
                time.advance(60)
                before = await mirror.value("SELECT pg_current_wal_insert_lsn()")
                await engine.follow(await engine.prepare())
                costs.append(
                    await mirror.value(
                        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)", before
                    )
                )
        assert min(costs) <= MAX_WAL_BYTES_PER_POLL


async def test_signatures_statistics_and_key_order_are_no_change(
    migrated_database_url: str,
) -> None:
    """P5: everything is listed again a signing window later, and nothing counts as a change."""
    time = SourceTime()
    source = new_source(time, models=400, volatile=True)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill()
        before = await rows_written(mirror)
        served = await raw_rows(mirror)
        time.advance(timedelta(days=8).total_seconds())
        assert served != await raw_rows(mirror)
        done = await mirror.refill()
        written = grown(before, await rows_written(mirror))

        assert (0, 0, 0) == (done.tally.inserted, done.tally.updated, done.tally.quarantined)
        assert done.tally.unchanged >= 400
        assert {} == {name: rows for name, rows in written.items() if name.startswith("scenario.")}


async def test_a_quarantined_model_served_with_other_keys_first_is_not_written_again(
    migrated_database_url: str,
) -> None:
    """P5: key order and live values of an unusable record are no change either."""
    time = SourceTime()
    source = new_source(time, models=0, volatile=True)
    for number in range(6):
        source.add_model(id=f"broken{number}", createdAt="2026-02-31T00:00:00.000Z")
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill()
        await mirror.value("UPDATE syncer.quarantine SET dismissed = true RETURNING key")
        done = await mirror.refill()

        assert 0 == done.tally.quarantined
        assert 6 == await mirror.value("SELECT count(*) FROM syncer.quarantine WHERE dismissed")


async def raw_rows(mirror: Mirror) -> Any:
    """The listing as the source serves it now."""
    async with mirror.process() as runtime:
        return (
            await runtime.source.probe({"privacy": "public", "pageSize": "500"}, lane=Lane.VERIFY)
        ).body
