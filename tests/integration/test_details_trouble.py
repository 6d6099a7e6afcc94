"""Details in trouble: whatever is wrong with one model stays with it, and nobody is hammered."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.details import MODELS, retrieved, source_with_models
from support.mirror import SourceTime, mirroring, new_source

from syncer.details import Details
from syncer.errors import ExitCode, LeaseLost, SourceRefused, SourceThrottled, SourceUnavailable

if TYPE_CHECKING:
    from support.mirror import Mirror

    from syncer.context import CatalogContext
    from syncer.details import DetailTally

HASTY = {"limits__retry_deadline_s": 0.2}
FAILED = "SELECT array_agg(id ORDER BY id) FROM syncer.detail_failure"


def asked(mirror: Mirror) -> Counter[str]:
    """How often each model was asked for by itself."""
    return Counter(retrieved(mirror))


def ids(count: int, prefix: str = "m") -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


async def catch_up(context: CatalogContext) -> DetailTally:
    return await Details(context).catch_up()


@pytest.fixture(name="time")
def time_fixture() -> SourceTime:
    return SourceTime()


async def test_p9_changed_models_that_cannot_be_had_do_not_hold_up_those_behind_them(
    migrated_database_url: str, time: SourceTime
) -> None:
    """A process that lives on goes past them, and asks none of them again before its time."""
    source = source_with_models(time, 60)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        async with mirror.context(details=True) as context:
            details = Details(context)
            await details.catch_up()
            before = asked(mirror)
            for number, model_id in enumerate(ids(60)):
                source.update_model(model_id, name="renamed")
                if number < 30:
                    source.show_retrieved(model_id, None)
            time.advance(600)
            # What another process brings in, while this one goes on living.
            await mirror.observer.execute(
                "UPDATE scenario.models SET content_hash = content_hash || '\\x00'"
            )
            await mirror.observer.execute(
                "INSERT INTO scenario.model_changes (catalog, id, operation, changed_fields,"
                " before, after, source_updated_at, committed_at)"
                " SELECT catalog, id, 'update', '{}', '{}', '{}', updated_at, now()"
                " FROM scenario.models ORDER BY id"
            )
            tallies = [await details.catch_up() for _ in range(5)]
            again = asked(mirror) - before

    assert sum(tally.fetched for tally in tallies) == 30
    assert again == Counter(ids(60))


async def test_p9_models_that_the_source_stumbles_over_are_set_aside(
    migrated_database_url: str, time: SourceTime
) -> None:
    """More of them than there are workers: else those would try for ever, and get nowhere."""
    source = source_with_models(time)
    broken = ids(6)
    for model_id in broken:
        source.show_retrieved(model_id, status=500)
    async with mirroring(migrated_database_url, source, time=time, details=True, **HASTY) as mirror:
        for _ in range(3):
            done = await mirror.sync()

        assert done.catalog.details is not None
        assert done.catalog.details.count.stored == MODELS - len(broken)
        assert await mirror.value(FAILED) == broken
        assert done.exit_code is ExitCode.NOT_ALL_WELL


async def test_a_source_that_is_down_is_asked_again_and_not_taken_for_bad_models(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True, **HASTY) as mirror:
        await mirror.sync(details=False)
        async with mirror.context() as context:
            source.add_fault("error-503")
            down = await catch_up(context)
            source.clear_faults()

        assert isinstance(down.error, SourceUnavailable)
        assert down.fetched == 0
        # Each worker has had one in hand, and cannot know better.
        assert down.failed <= 4


@pytest.mark.parametrize(
    ("fault", "error"), [("unauthorized", SourceRefused), ("rate-limit-bare", SourceThrottled)]
)
async def test_what_is_no_models_fault_sets_no_model_aside(
    migrated_database_url: str, time: SourceTime, fault: str, error: type[Exception]
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True, **HASTY) as mirror:
        await mirror.sync(details=False)
        async with mirror.context() as context:
            source.add_fault(fault)
            refused = await catch_up(context)
            source.clear_faults()
            later = await catch_up(context)

        assert isinstance(refused.error, error)
        assert refused.failed == 0
        assert (later.fetched, later.error) == (MODELS, None)


async def test_a_storm_of_429s_costs_time_and_nothing_else(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time, retry_after_s=0.01)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        source.add_fault("rate-limit-ms", 20)
        done = await mirror.sync()

        assert done.exit_code is ExitCode.OK
        assert done.catalog.details is not None
        assert done.catalog.details.document["stored"] == MODELS


async def test_a_record_older_than_the_listed_one_is_kept_and_not_called_current(
    migrated_database_url: str, time: SourceTime
) -> None:
    """The source may show a change in the list first: it is asked again, ever more seldom."""
    source = source_with_models(time)
    record = source.live_models()["m00003"] | {"updatedAt": "2020-01-01T00:00:00.000Z"}
    source.show_retrieved("m00003", json.dumps({"model": record}).encode())
    current = "SELECT is_current FROM scenario.live_model_details WHERE id = 'm00003'"
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        waits = []
        for _ in range(3):
            done = await mirror.sync()
            waits.append(
                await mirror.value(
                    "SELECT extract(epoch FROM retry_at - failed_at)::int"
                    " FROM syncer.detail_failure"
                )
            )
            await mirror.observer.execute(
                "UPDATE syncer.detail_failure SET retry_at = failed_at + interval '1 us'"
            )

        assert waits == [300, 600, 1200]
        assert await mirror.value(current) is False
        assert done.catalog.details is not None
        assert done.catalog.details.document["failed"] == 1

        source.show_retrieved("m00003")
        await mirror.sync()

        assert await mirror.value(current) is True
        assert await mirror.value(FAILED) is None


async def test_an_answer_over_the_byte_cap_is_set_aside_unread(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    source.show_retrieved("m00002", b'{"model": {"id": "m00002", "x": "%b"}}' % (b"x" * 3_000_000))
    async with mirroring(
        migrated_database_url, source, time=time, details=True, limits__max_page_bytes=2_000_000
    ) as mirror:
        done = await mirror.sync()
        reason = await mirror.value("SELECT reason FROM syncer.detail_failure WHERE id = 'm00002'")

        assert done.exit_code is ExitCode.NOT_ALL_WELL
        assert "more than 2000000 bytes" in reason


async def test_what_postgresql_cannot_store_is_set_aside(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    record = source.live_models()["m00002"]
    noise = "".join(chr(33 + number * 7919 % 9000) for number in range(9000))
    planted = {"m00002": noise, "m00003": "a\x00b"}
    for model_id, name in planted.items():
        body = record | {"id": model_id, "inputs": [{"name": name}]}
        source.show_retrieved(model_id, json.dumps({"model": body}).encode())
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        done = await mirror.sync()

        assert done.catalog.details is not None
        assert done.catalog.details.document["stored"] == MODELS - 2
        assert await mirror.value(FAILED) == sorted(planted)
        assert await mirror.value("SELECT count(*) FROM scenario.model_inputs") == 3 * (MODELS - 2)


async def test_p4_whoever_has_lost_the_lease_stores_no_details(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        async with mirror.context() as context:
            await mirror.observer.execute("UPDATE syncer.lease SET epoch = epoch + 1")
            fenced = await catch_up(context)

        assert isinstance(fenced.error, LeaseLost)
        assert await mirror.value("SELECT count(*) FROM scenario.model_details") == 0


async def test_a_sweep_that_was_asked_for_fetches_no_details(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        done = await mirror.sweep()

        assert done.catalog.details is None
        assert asked(mirror) == Counter()


async def test_a_private_catalog_asks_as_its_listing_does(
    migrated_database_url: str, time: SourceTime
) -> None:
    """Its own project, and links to the originals where the list has them."""
    source = new_source(time, private_models=5)
    time.advance(3600)
    keys = {"SCENARIO_SDK_API_KEY": "key", "SCENARIO_SDK_API_SECRET": "secret"}
    project = source.options.project_id
    async with mirroring(
        migrated_database_url,
        source,
        time=time,
        details=True,
        privacy="private",
        project_id=project,
        original_assets=True,
    ) as mirror:
        mirror.credentials = keys
        done = await mirror.sync()
        single = [each for each in source.requests if each.path.startswith("/v1/models/")]

        assert done.exit_code is ExitCode.OK
        assert len(single) == 5
        assert {each.params.get("projectId") for each in single} == {project}
        assert {each.params.get("originalAssets") for each in single} == {"true"}


async def test_details_that_are_turned_off_stay_and_go_stale_in_sight(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync()
        source.update_model("m00001", name="renamed")
        time.advance(600)
        done = await mirror.sync(details=False)
        stale = await mirror.value(
            "SELECT array_agg(id) FROM scenario.live_model_details WHERE NOT is_current"
        )

        assert done.catalog.details is None
        assert stale == ["m00001"]
        assert await mirror.value("SELECT count(*) FROM scenario.live_model_details") == MODELS
