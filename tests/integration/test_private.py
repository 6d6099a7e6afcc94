"""Private catalogs: no updatedAfter, a feed of deletions, and an owner to be sure of."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.mirror import (
    Mirror,
    SourceTime,
    add_models,
    mirroring,
)
from support.sweeps import PAGE_SIZE, private_source, tombstones

from syncer.domain import CycleKind
from syncer.errors import CatalogPinned, ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from syncer.simulator import SimulatedSource

CREDENTIALS = {"SCENARIO_SDK_API_KEY": "key", "SCENARIO_SDK_API_SECRET": "secret"}


@asynccontextmanager
async def private(
    url: str, source: SimulatedSource, time: SourceTime, **keys: object
) -> AsyncIterator[Mirror]:
    """A mirror of the caller's own models."""
    chosen: dict[str, object] = {
        "privacy": "private",
        "source__page_size": PAGE_SIZE,
        "source__max_concurrency": 2,
    }
    async with mirroring(url, source, time=time, **chosen | keys) as mirror:
        mirror.credentials = CREDENTIALS
        mirror.privacy = "private"
        yield mirror


def hand_over(source: SimulatedSource, owner: str) -> None:
    """Serve the same models as somebody else's, as other credentials would see them."""
    for model_id, model in source.live_models("private").items():
        source.put_raw(
            model_id,
            json.dumps(model | {"ownerId": owner}).encode(),
            created_at=model["createdAt"],
            updated_at=model["updatedAt"],
            privacy="private",
        )


async def test_new_and_deleted_models_are_found_by_a_poll_of_two_requests(
    migrated_database_url: str,
) -> None:
    """P5: idle, it asks for new models and for the deleted feed, and writes no model row."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        time.advance(400)
        await mirror.sync()
        time.advance(400)
        before = await mirror.observer.fetch("SELECT ctid, xmin FROM scenario.models")
        idle = await mirror.sync()
        after = await mirror.observer.fetch("SELECT ctid, xmin FROM scenario.models")
        add_models(source, 1, "new", privacy="private")
        source.remove_model("p00003")
        time.advance(1)
        done = await mirror.sync()

        assert (2, CycleKind.DELTA) == (idle.requests, idle.last.kind)
        assert before == after
        assert (1, 1) == (done.tally.inserted, done.tally.removed)
        assert [("p00003", "deleted")] == await tombstones(mirror)
        assert [] == await mirror.differences()


async def test_a_change_in_place_is_found_by_the_sweep_and_its_age_is_the_freshness(
    migrated_database_url: str,
) -> None:
    """P1, P8: polls of new models do not make the mirror fresh."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        complete_at = "SELECT last_complete_at FROM syncer.catalog"
        filled = await mirror.value(complete_at)
        source.update_model("p00007", name="renamed")
        time.advance(60)
        polled = await mirror.sync()
        between = await mirror.differences()
        same = await mirror.value(complete_at)
        swept = await mirror.sweep()

        assert CycleKind.DELTA == polled.last.kind
        assert ["stale p00007"] == between
        assert filled == same
        assert (1, 0) == (swept.tally.updated, swept.tally.missed)
        assert filled < await mirror.value(complete_at)
        assert [] == await mirror.differences()


async def test_a_restored_model_comes_back_without_its_old_tags(
    migrated_database_url: str,
) -> None:
    """UPSTREAM §7: same id, same row, other tags and collections."""
    time = SourceTime()
    source = private_source(time)
    source.update_model("p00003", tags=["mine"], collectionIds=["c1"])
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("p00003")
        time.advance(60)
        await mirror.sync()
        gone = await tombstones(mirror)
        source.restore_model("p00003")
        done = await mirror.sweep()
        row = await mirror.observer.fetchrow(
            "SELECT tags, collection_ids FROM scenario.models WHERE id = 'p00003'"
        )

        assert [("p00003", "deleted")] == gone
        assert 1 == done.tally.restored
        assert ([], []) == (row["tags"], row["collection_ids"])
        assert [] == await mirror.differences()


async def test_a_feed_row_removes_nothing_that_is_listed_again(
    migrated_database_url: str,
) -> None:
    """P2: restored between the feed's answer and the second question."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("p00003")
        seen: list[dict[str, str]] = []

        def restore(params: dict[str, str]) -> None:
            if seen and "p00003" in source.deleted_models():
                source.restore_model("p00003", touch=False)
            if params.get("status") == "deleted":
                seen.append(params)

        source.on_request = restore
        done = await mirror.sync()
        source.on_request = None

        assert seen
        assert 0 == done.tally.removed
        assert [] == await tombstones(mirror)


async def test_the_feed_inserts_nothing(migrated_database_url: str) -> None:
    """P2: a model that was never mirrored stays unknown."""
    time = SourceTime()
    source = private_source(time)
    add_models(source, 1, "gone", privacy="private")
    source.remove_model("gone00000")
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await mirror.sync()

        assert 40 == await mirror.value("SELECT count(*) FROM scenario.models")


@pytest.mark.parametrize("fault", ["forbidden", "error-400", "plan-limit"])
async def test_where_a_plan_refuses_the_feed_absence_decides(
    migrated_database_url: str, fault: str
) -> None:
    """DESIGN §2: said once, no failure, and tried again with the next sweep."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.add_fault(fault, when=lambda params: params.get("status") == "deleted")
        source.remove_model("p00003")
        polled = await mirror.sync()
        before = await tombstones(mirror)
        swept = await mirror.sweep()

        assert ExitCode.OK == polled.exit_code
        assert any(each["event"] == "feed_refused" for each in mirror.events)
        assert [] == before
        assert 1 == swept.tally.removed
        assert [] == await mirror.differences()


async def test_who_was_offline_longer_than_the_feed_reaches_sweeps_first(
    migrated_database_url: str,
) -> None:
    """The feed forgets after 30 days, and says nothing about what it forgot."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time, sweep_interval_s=10_000_000) as mirror:
        await mirror.sync()
        await mirror.sync()
        source.remove_model("p00003")
        time.advance(40 * 86_400)
        await mirror.observer.execute(
            "UPDATE syncer.catalog SET swept_at = swept_at - interval '40 days',"
            " fed_at = fed_at - interval '40 days'"
        )
        done = await mirror.sync()

        assert CycleKind.SWEEP == done.catalog.cycles[0].kind
        assert [("p00003", "absent")] == await tombstones(mirror)
        assert [] == await mirror.differences()


async def test_a_status_that_no_filter_names_is_mirrored(migrated_database_url: str) -> None:
    """UPSTREAM §2.2: copying and training-canceled are in no filter's list."""
    time = SourceTime()
    source = private_source(time)
    source.update_model("p00001", status="copying")
    source.update_model("p00002", status="training-canceled")
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()

        assert [] == await mirror.differences()


@pytest.mark.parametrize(
    ("keys", "field", "inside", "outside"),
    [
        ({"collection_id": "c1"}, "collectionIds", ["c1"], ["c2"]),
        ({"status": "trained"}, "status", "trained", "failed"),
    ],
)
async def test_a_private_scope_holds_what_it_names_and_lets_go_of_what_leaves_it(
    migrated_database_url: str, keys: dict[str, object], field: str, inside: Any, outside: Any
) -> None:
    """DESIGN §4: the scope goes with every question, but the feed's own status."""
    time = SourceTime()
    source = private_source(time)
    for number in range(40):
        source.update_model(f"p{number:05}", **{field: inside if number < 20 else outside})
    async with private(migrated_database_url, source, time, **keys) as mirror:
        await mirror.sync()
        held = await mirror.value("SELECT count(*) FROM scenario.live_models")
        source.update_model("p00003", **{field: outside})
        source.remove_model("p00004")
        await mirror.sync()
        await mirror.sweep()

        assert 20 == held
        assert 18 == await mirror.value("SELECT count(*) FROM scenario.live_models")
        assert ("p00003", "out_of_scope") in await tombstones(mirror)


async def test_one_model_in_the_public_and_the_private_catalog_is_two_rows(
    migrated_database_url: str,
) -> None:
    """UPSTREAM §5: its owner has published it."""
    time = SourceTime()
    source = private_source(time, models=5)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.update_model("p00001", privacy="public")
        async with mirroring(migrated_database_url, source, time=time) as public:
            await public.observer.execute("UPDATE syncer.catalog SET catalog = 'mine'")
            await public.observer.execute("UPDATE scenario.models SET catalog = 'mine'")
            await public.sync()

            assert [("mine",), ("public",)] == [
                tuple(row)
                for row in await public.observer.fetch(
                    "SELECT catalog FROM scenario.models WHERE id = 'p00001' ORDER BY 1"
                )
            ]


async def test_a_page_of_another_owner_is_refused_before_its_commit(
    migrated_database_url: str,
) -> None:
    """DESIGN §4: exit 2, nothing stored; an empty listing is the guard's business."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        pin = await mirror.value("SELECT pin FROM syncer.catalog")
        hand_over(source, "proj_somebodyElse")
        refused = await mirror.sweep()
        others = await mirror.value(
            "SELECT count(*) FROM scenario.models WHERE owner_id = 'proj_somebodyElse'"
        )
        restarted = await mirror.refill()

        assert f"owner {source.options.project_id}" in pin
        assert ExitCode.USAGE == refused.exit_code
        assert isinstance(refused.last.error, CatalogPinned)
        assert "proj_somebodyElse" in refused.last.error.message
        assert 0 == others
        assert ExitCode.OK == restarted.exit_code
        assert "proj_somebodyElse" in await mirror.value("SELECT pin FROM syncer.catalog")


async def test_an_empty_listing_of_other_credentials_removes_nothing(
    migrated_database_url: str,
) -> None:
    """P2: 200 without a model is what another project's credentials see."""
    time = SourceTime()
    source = private_source(time)
    async with private(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        listed = [source.catalog.get(f"p{number:05}") for number in range(40)]
        for number in range(40):
            source.catalog.drop(f"p{number:05}")
        refused = await mirror.sweep()
        for record in listed:
            assert record is not None
            source.catalog.put(record)
        after = await mirror.sweep()

        assert ExitCode.NOT_ALL_WELL == refused.exit_code
        assert 40 == refused.tally.removals_waiting
        assert ExitCode.OK == after.exit_code
        assert 0 == await mirror.value("SELECT removals_waiting FROM syncer.catalog")
        assert [] == await mirror.differences()
