"""P6: memory is bounded in bytes, whatever the pages weigh, and nothing is lost over it."""

from __future__ import annotations

from support.mirror import Mirror, SourceTime, mirroring, new_source

from syncer.api.room import PAGE_GOAL_BYTES, ROOM_BYTES
from syncer.errors import ExitCode, PageTooLarge
from syncer.jobs import Job
from syncer.oneshot import run_job

PIECE_BYTES = 65_536
"""What a reader may read before it is told to wait."""

FINISHED = "cycle_finished"
HALVED = "page_size_halved"
WORKERS = 8
BOUND_BYTES = ROOM_BYTES + PAGE_GOAL_BYTES + WORKERS * PIECE_BYTES


async def filled(mirror: Mirror, **keys: object) -> tuple[ExitCode, int]:
    """A backfill by types, so that eight workers read at once; how it ended, and the most bytes."""
    async with mirror.process(source__max_concurrency=WORKERS, **keys) as runtime:
        result = await run_job(runtime, runtime.settings.catalogs, Job(follow=False))
        room = runtime.source.room

        assert room.used_bytes == 0
        return result.exit_code(None), room.most_bytes


async def test_eight_workers_and_pages_of_four_megabytes_stay_within_the_room(
    migrated_database_url: str,
) -> None:
    time = SourceTime()
    source = new_source(time, models=200, ballast_bytes=180_000)
    async with mirroring(
        migrated_database_url, source, time=time, source__page_size=20, partition_by="type"
    ) as mirror:
        code, most_bytes = await filled(mirror)

        assert code is ExitCode.OK
        assert 2 * PAGE_GOAL_BYTES < most_bytes <= BOUND_BYTES
        lags = [each["loop_lag_ms"] for each in mirror.events if each["event"] == FINISHED]
        assert len(lags) == 1
        assert lags[0] > 0
        assert await mirror.differences() == []


async def test_a_page_of_fifty_megabytes_is_read_in_parts(migrated_database_url: str) -> None:
    """Compressed it is small: the bound holds for what comes out."""
    time = SourceTime()
    source = new_source(time, models=50, faults=("oversized-page",), oversized_row_bytes=1_000_000)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        code, most_bytes = await filled(mirror)

        assert code is ExitCode.OK
        assert most_bytes <= BOUND_BYTES
        assert await mirror.differences() == []
        events = [event["page_size"] for event in mirror.events if event["event"] == HALVED]
        assert events[:5] == [250, 125, 62, 31, 15]


async def test_a_model_beyond_the_limit_is_refused_by_name(migrated_database_url: str) -> None:
    time = SourceTime()
    source = new_source(time, models=1, ballast_bytes=2_000_000)
    limits = {"limits__max_page_bytes": 1_000_000}
    async with mirroring(migrated_database_url, source, time=time, **limits) as mirror:
        done = await mirror.backfill()

        assert done.exit_code is ExitCode.NOT_ALL_WELL
        assert [type(error) for error in done.catalog.errors] == [PageTooLarge]
        assert "limits.max_page_bytes" in str(done.catalog.errors[0])
