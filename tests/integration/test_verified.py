"""What verify found is stored, so that somebody who did not look at its output is told."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.mirror import START, Mirror, SourceTime, mirroring
from support.sweeps import source_of, sweeping

from syncer.proof import Verified, preview_sweeps, verify_catalogs
from syncer.status import build_status
from syncer.store.status import CatalogRow, read_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SPOIL = "UPDATE scenario.models SET name = 'by hand' WHERE id = ANY ($1::text[])"
NEVER = (None, None)


async def verified(mirror: Mirror, *, repair: bool = False, **keys: object) -> Verified:
    """``syncer verify``."""
    async with mirror.process(**keys) as runtime:
        (result,) = await verify_catalogs(runtime, runtime.settings.catalogs, repair=repair)
        return result


async def row_of(mirror: Mirror) -> CatalogRow:
    """The catalog as status reads it."""
    async with mirror.process() as runtime, runtime.pool.acquire() as connection:
        (row,), _ = await read_status(connection, runtime.queries)
        return row


async def stored(mirror: Mirror) -> tuple[datetime | None, int | None]:
    """When it was last verified, and what differed."""
    row = await row_of(mirror)
    return row.verified_at, row.verify_differences


async def test_a_catalog_that_was_never_verified_says_so(migrated_database_url: str) -> None:
    """Not 0: nobody has looked."""
    time = SourceTime()
    async with mirroring(migrated_database_url, source_of(time, models=3), time=time) as mirror:
        await mirror.sync()

        assert NEVER == await stored(mirror)


async def test_verify_stores_when_it_looked_and_that_all_is_equal(
    migrated_database_url: str,
) -> None:
    """By the database's clock: the one that the age is told by."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        before = await mirror.value("SELECT clock_timestamp()")
        await verified(mirror)
        at, differences = await stored(mirror)

        assert 0 == differences
        assert at is not None
        assert before < at < await mirror.value("SELECT clock_timestamp()")


async def test_missing_extra_and_stale_models_are_counted_together(
    migrated_database_url: str,
) -> None:
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await mirror.observer.execute(SPOIL, ["m00001", "m00002"])
        await mirror.observer.execute("DELETE FROM scenario.models WHERE id = 'm00003'")
        source.remove_model("m00004")
        result = await verified(mirror)
        _, differences = await stored(mirror)

        assert result.comparison is not None
        assert {"stale": 2, "missing": 1, "extra": 1} == {
            how: len(ids) for how, ids in result.comparison.ids.items()
        }
        assert 4 == differences


async def test_a_repair_stores_what_is_left_after_it(migrated_database_url: str) -> None:
    """The alert is to end with the repair, not with the verify of next week."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        await mirror.observer.execute(SPOIL, ["m00001", "m00002"])
        await verified(mirror)
        first = await stored(mirror)
        result = await verified(mirror, repair=True)
        second = await stored(mirror)

        assert 2 == result.repaired
        assert (2, 0) == (first[1], second[1])
        assert first[0] is not None
        assert second[0] is not None
        assert first[0] < second[0]


async def test_removals_that_a_repair_may_not_make_stay_counted(migrated_database_url: str) -> None:
    """The guard held them back: the mirror still differs."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for model_id in sorted(source.live_models())[:20]:
            source.remove_model(model_id)
        await verified(mirror, repair=True)

        assert 20 == (await stored(mirror))[1]


async def test_a_comparison_that_could_not_be_made_leaves_the_last_one(
    migrated_database_url: str,
) -> None:
    """P8: an error is no finding; the age grows until somebody sees it."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await verified(mirror)
        before = await stored(mirror)
        source.add_fault("error-404")
        result = await verified(mirror)

        assert result.error is not None
        assert before == await stored(mirror)


async def test_a_preview_of_a_sweep_stores_nothing(migrated_database_url: str) -> None:
    """``sweep --dry-run`` changes nothing, anywhere."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        async with mirror.process() as runtime:
            await preview_sweeps(runtime, runtime.settings.catalogs, allowed=None)

        assert NEVER == await stored(mirror)


async def test_verify_says_it_also_while_another_process_holds_the_lease(
    migrated_database_url: str,
) -> None:
    """The one that a timer starts beside the daemon, which is how it runs in production."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        async with mirror.context() as holder:
            epoch = holder.lease.epoch
            await verified(mirror)

        assert 0 == (await stored(mirror))[1]
        assert epoch == await mirror.value("SELECT epoch FROM syncer.lease")


async def test_what_was_found_under_another_scope_is_not_said_of_this_one(
    migrated_database_url: str,
) -> None:
    """Filters that only this command has: it compared another catalog than the one that is kept."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        await verified(mirror, types=["custom"])

        assert NEVER == await stored(mirror)


@pytest.mark.parametrize(
    ("refill", "is_kept"),
    [
        (lambda mirror: mirror.refill(), True),
        (lambda mirror: mirror.sync(types=["custom"]), False),
    ],
    ids=["same scope", "other scope"],
)
async def test_a_catalog_that_is_filled_anew_keeps_it_under_the_same_scope_only(
    migrated_database_url: str, refill: Callable[[Mirror], Awaitable[Any]], is_kept: bool
) -> None:
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        await verified(mirror)
        await refill(mirror)

        assert is_kept == (await stored(mirror) != NEVER)


async def test_the_status_document_does_not_grow(migrated_database_url: str) -> None:
    """Its keys are public contract (DESIGN §3)."""
    time = SourceTime()
    async with sweeping(migrated_database_url, source_of(time), time) as mirror:
        await mirror.sync()
        await verified(mirror)
        document = build_status(mirror.settings(), [await row_of(mirror)], [], now=START)

        assert "verif" not in str(document)
