"""What a sweep finds, what it removes, and what it must leave alone (P1, P2, P5, P8)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.mirror import (
    SourceTime,
    add_models,
    mirroring,
    spread,
)
from support.sweeps import LONG_AGO, MODELS, source_of, sweeping, tombstones

from syncer.domain import CycleKind
from syncer.errors import ExitCode, Stopped, SweepRefused


async def test_p1_a_sweep_finds_what_left_no_trace(migrated_database_url: str) -> None:
    """P1: removals, silent edits and late publications, each by its own name."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(3600)
        source.remove_model("m00003")
        source.remove_model("m00030")
        source.update_model("m00007", touch=False, name="edited in silence")
        add_models(source, 1, "late", createdAt=LONG_AGO, updatedAt=LONG_AGO)
        await mirror.sync()
        before = await mirror.differences()
        done = await mirror.sweep()

        assert ["missing late00000", "extra m00003", "extra m00030", "stale m00007"] == before
        assert ExitCode.OK == done.exit_code
        assert CycleKind.SWEEP == done.last.kind
        assert (2, 2, 0) == (done.tally.removed, done.tally.unannounced, done.tally.missed)
        assert [("m00003", "absent"), ("m00030", "absent")] == await tombstones(mirror)
        assert [] == await mirror.differences()


async def test_p2_a_model_that_comes_back_is_restored_under_the_same_row(
    migrated_database_url: str,
) -> None:
    """P2: with its history, and without a word in updatedAt."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        seen = await mirror.value("SELECT first_seen_at FROM scenario.models WHERE id = 'm00003'")
        source.remove_model("m00003")
        await mirror.sweep()
        source.restore_model("m00003")
        done = await mirror.sweep()

        assert 1 == done.tally.restored
        assert [] == await tombstones(mirror)
        assert [] == await mirror.differences()
        assert seen == await mirror.value(
            "SELECT first_seen_at FROM scenario.models WHERE id = 'm00003'"
        )


async def test_p5_a_sweep_without_differences_writes_no_model_row(
    migrated_database_url: str,
) -> None:
    """P5: and leaves no seen-set behind."""
    time = SourceTime()
    source = source_of(time, volatile=True)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(8 * 86_400)
        before = await mirror.observer.fetch("SELECT ctid, xmin, id FROM scenario.models")
        done = await mirror.sweep()

        assert MODELS <= done.tally.unchanged
        assert before == await mirror.observer.fetch("SELECT ctid, xmin, id FROM scenario.models")
        assert 0 == await mirror.value("SELECT count(*) FROM syncer.seen")


async def test_p2_a_sweep_that_did_not_come_to_its_end_removes_nothing(
    migrated_database_url: str,
) -> None:
    """P2: it is resumed with what it had seen, and only then removes."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(
        migrated_database_url, source, time, source__max_concurrency=1, sweep_interval_s=1
    ) as mirror:
        await mirror.backfill()
        time.advance(3600)
        source.remove_model("m00035")
        await mirror.observer.execute("UPDATE syncer.catalog SET swept_at = '-infinity'")
        asked = len(source.requests)
        stopped = await mirror.run_until(lambda: len(source.requests) > asked + 3, Stopped())
        seen = await mirror.value("SELECT count(*) FROM syncer.seen")
        between = await tombstones(mirror)
        done = await mirror.sync()

        assert not stopped.complete
        assert 0 < seen
        assert [] == between
        assert done.last.resumed
        assert [("m00035", "absent")] == await tombstones(mirror)
        # The first pages were not read again: three of five, the second question, the reason.
        assert [] == await mirror.differences()


async def test_p2_a_model_missing_from_one_walk_only_is_not_removed(
    migrated_database_url: str,
) -> None:
    """P2: absence is confirmed by a second question, asked after the last page."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("m00003")

        def come_back(params: dict[str, str]) -> None:
            created = params.get("createdAfter", "")
            if created.startswith("2026-07-24T12:02:59.999") and "createdBefore" in params:
                source.restore_model("m00003")
                source.on_request = None

        source.on_request = come_back
        done = await mirror.sweep()

        assert source.on_request is None, "nobody asked a second time"
        assert 0 == done.tally.removed
        assert [] == await tombstones(mirror)
        assert [] == await mirror.differences()


@pytest.mark.parametrize(
    ("gone", "allowed", "removed"),
    [(5, None, 5), (8, None, 8), (9, None, 0), (40, None, 0), (9, 9, 9), (9, 8, 0), (40, 40, 40)],
)
async def test_the_guard_lets_few_removals_pass_and_holds_many_back(
    migrated_database_url: str, gone: int, allowed: int | None, removed: int
) -> None:
    """P8: what waits is counted, said, and ends the command with 5; updates are not held back."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(3600)
        for number in range(gone):
            source.remove_model(f"m{number:05}")
        if gone < MODELS:
            source.update_model("m00039", touch=False, name="edited in silence")
        done = await mirror.sweep(allow_removals=allowed)
        waiting = await mirror.value("SELECT removals_waiting FROM scenario.sync_status")

        assert removed == len(await tombstones(mirror)) == done.tally.removed
        assert gone - removed == waiting == done.tally.removals_waiting
        assert (ExitCode.OK if removed else ExitCode.NOT_ALL_WELL) == done.exit_code
        assert done.last.complete
        refused = done.last.failures.get("removals")
        assert (refused is None) == bool(removed)
        if isinstance(refused, SweepRefused):
            assert "nothing was removed" in refused.message
            assert "--allow-removals" in refused.hint
        assert not [each for each in await mirror.differences() if each.startswith("stale")]


async def test_removals_of_the_last_day_count_against_the_guard(
    migrated_database_url: str,
) -> None:
    """A catalog that is emptied in small steps is emptied all the same."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for number in range(5):
            source.remove_model(f"m{number:05}")
        first = await mirror.sweep()
        for number in range(5, 10):
            source.remove_model(f"m{number:05}")
        second = await mirror.sweep()

        assert (5, 0) == (first.tally.removed, second.tally.removed)
        assert 5 == second.tally.removals_waiting


async def test_an_empty_listing_removes_nothing_however_small_the_catalog(
    migrated_database_url: str,
) -> None:
    """Wrong credentials look like this: 200, and no models."""
    time = SourceTime()
    source = source_of(time, models=3)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        for number in range(3):
            source.remove_model(f"m{number:05}")
        done = await mirror.sync()

        assert [] == await tombstones(mirror)
        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert 3 == done.tally.removals_waiting


async def test_a_small_listing_is_swept_by_each_poll_for_one_request(
    migrated_database_url: str,
) -> None:
    """P5: one request tells removals and silent edits as well; idle, it writes no model row."""
    time = SourceTime()
    source = source_of(time, models=30)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        time.advance(400)
        idle = await mirror.sync()
        source.update_model("m00007", touch=False, name="edited in silence")
        edited = await mirror.sync()
        source.remove_model("m00003")
        removed = await mirror.sync()

        assert (1, CycleKind.SWEEP) == (idle.requests, idle.last.kind)
        assert (1, 1) == (edited.requests, edited.tally.unannounced)
        # The listing, the second question, the question by id that names the reason.
        assert (3, 1) == (removed.requests, removed.tally.removed)
        assert [] == await mirror.differences()


async def test_p3_a_source_that_was_set_back_is_followed_when_it_says_so_twice(
    migrated_database_url: str,
) -> None:
    """P3: the one exception to never backwards, counted and warned about."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(60)
        source.update_model("m00005", name="newer")
        await mirror.sync()
        time.advance(3600)
        source.update_model("m00001", name="something else moves the watermark on")
        await mirror.sync()
        source.update_model("m00005", name="older", updatedAt=LONG_AGO)
        polled = await mirror.sync()
        done = await mirror.sweep()

        assert 0 == polled.tally.rewound
        assert 1 == done.tally.rewound
        assert any(each["event"] == "models_rewound" for each in mirror.events)
        assert [] == await mirror.differences()


async def test_a_record_without_an_id_forbids_removals_around_it(
    migrated_database_url: str,
) -> None:
    """It may be the very model that is missing."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("m00003")
        source.remove_model("m00035")
        at = LONG_AGO + timedelta(minutes=3)
        source.put_raw("hidden", b'{"name": "who am I"}', created_at=at, updated_at=at)
        await mirror.sweep()

        assert [("m00035", "absent")] == await tombstones(mirror)


async def test_a_model_that_is_only_unreadable_is_not_removed(migrated_database_url: str) -> None:
    """P9: quarantined is listed."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        at = LONG_AGO + timedelta(minutes=3)
        raw = b'{"id": "m00003", "createdAt": "x", "updatedAt": "y"}'
        source.put_raw("m00003", raw, created_at=at, updated_at=at)
        done = await mirror.sweep()

        assert [] == await tombstones(mirror)
        assert 1 == done.tally.quarantined


async def test_the_reason_of_a_removal_is_named_where_the_source_tells(
    migrated_database_url: str,
) -> None:
    """Unlisted models still answer by id; what a filter leaves out has not gone."""
    time = SourceTime()
    source = source_of(time, models=0)
    add_models(source, 30, "m", createdAt=spread(LONG_AGO, step_ms=60_000), tags=["Video"])
    keys: dict[str, object] = {"tags": ["Video"]}
    async with sweeping(migrated_database_url, source, time, **keys) as mirror:
        await mirror.sync()
        time.advance(1)
        source.update_model("m00001", privacy="unlisted")
        source.update_model("m00002", tags=["3D"])
        source.remove_model("m00003")
        await mirror.sweep()

        assert [
            ("m00001", "unlisted"),
            ("m00002", "out_of_scope"),
            ("m00003", "absent"),
        ] == await tombstones(mirror)


async def test_a_changed_scope_removes_what_lies_outside_only_through_the_guard(
    migrated_database_url: str,
) -> None:
    """DESIGN §4: the guard stands between a typing error and the rows."""
    time = SourceTime()
    source = source_of(time, models=0)
    created = spread(LONG_AGO, step_ms=60_000)
    add_models(source, 20, "v", createdAt=created, tags=["Video"])
    add_models(source, 20, "d", createdAt=created, tags=["3D"])
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        done = await mirror.sync(tags=["Video"])
        allowed = await mirror.sweep(tags=["Video"], allow_removals=20)

        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert 20 == done.tally.removals_waiting
        assert 20 == allowed.tally.removed
        assert {"out_of_scope"} == {reason for _, reason in await tombstones(mirror)}


async def test_a_model_that_comes_back_broken_is_live_again_when_it_is_readable(
    migrated_database_url: str,
) -> None:
    """P2, P9: until then it is in quarantine, and nothing of it is shown as live."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        model = source.live_models()["m00003"]
        source.remove_model("m00003")
        await mirror.sweep()
        at = LONG_AGO + timedelta(minutes=3)
        raw = b'{"id": "m00003", "createdAt": "x", "updatedAt": "y"}'
        source.put_raw("m00003", raw, created_at=at, updated_at=at)
        broken = await mirror.sweep()
        between = await tombstones(mirror)
        source.catalog.drop("m00003")
        source.add_model(**model)
        mended = await mirror.sweep()

        assert 1 == broken.tally.quarantined
        assert [("m00003", "absent")] == between
        assert 1 == mended.tally.restored
        assert ExitCode.OK == mended.exit_code
        assert [] == await mirror.differences()
