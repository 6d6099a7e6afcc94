"""Attacks on the fast path and on the room for pages: each test is a promise that was doubted."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from support.builders import checkpoint, page
from support.desk import PAGE, serving
from support.mirror import Mirror, SourceTime, add_models, engine_of, mirroring, new_source
from support.sweeps import LONG_AGO, source_of, sweeping, tombstones

from syncer.api.room import Room
from syncer.crawl import Fetcher, StopSignal, Stride, crawl_partition
from syncer.domain import CycleKind, Lane, Page, Question, Scope, SentOrder
from syncer.errors import PageTooLarge, WalkBroken
from syncer.proof import Verified, verify_catalogs
from syncer.retry_models import retry_models
from syncer.store.status import list_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_S = 5.0
"""A test that hangs ends here."""

LARGE = json.dumps(PAGE).encode() + b" " * 400_000
VERSIONS = "SELECT id, xmin::text FROM scenario.models ORDER BY id"
KEYS = "SELECT key FROM syncer.quarantine ORDER BY key"


async def large_answer(_: web.Request) -> web.Response:
    return web.Response(body=LARGE)


async def versions(mirror: Mirror) -> list[Any]:
    """Which row versions there are: equal lists mean that nothing was written."""
    return [tuple(record) for record in await mirror.observer.fetch(VERSIONS)]


async def quarantined(mirror: Mirror) -> list[str]:
    return [record["key"] for record in await mirror.observer.fetch(KEYS)]


async def repaired(mirror: Mirror) -> Verified:
    """``syncer verify --repair``."""
    async with mirror.process() as runtime:
        (result,) = await verify_catalogs(runtime, runtime.settings.catalogs, repair=True)
        return result


async def test_p6_nobody_who_reads_waits_for_somebody_who_may_not_ask_yet() -> None:
    """P6: a backfill that stands behind a poll in line does not hold up what the poll reads."""
    asked: list[asyncio.Task[Page]] = []
    async with (
        serving(large_answer, at_once=1, room=Room(100_000)) as desk,
        asyncio.timeout(HANG_S),
        asyncio.TaskGroup() as group,
        desk.limiter.slot(Lane.POLL),
    ):
        for lane in (Lane.BACKFILL, Lane.POLL):
            asked.append(group.create_task(desk.fetch(lane=lane)))
            await asyncio.sleep(0)

    assert [task.result().size_bytes for task in asked] == [len(LARGE)] * 2
    assert desk.client.room.used_bytes == 0


class Restless:
    """More models on one instant than fit a page, others each time; a third of them is heavy."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch_page(
        self,
        scope: Scope,
        question: Question,
        *,
        lane: Lane,
        next_sent_order: Callable[[], SentOrder],
    ) -> Page:
        del scope, lane, next_sent_order
        self.asked += 1
        if self.asked > 100:
            raise AssertionError("it would read this instant for ever")
        if question.token is None:
            return page(f"a{self.asked}@5 b{self.asked}@5", more=f"t{self.asked}")
        if question.page_size > 2:
            raise PageTooLarge("the second page is heavy")
        return page(f"c{self.asked}@5" + ("" if question.before_ms else " d@9"))

    async def fetch_model(
        self,
        model_id: str,
        *,
        project_id: str | None,
        lane: Lane,
        original_assets: bool = False,
    ) -> bytes | None:
        raise NotImplementedError


async def test_p6_pages_that_are_too_large_do_not_make_readings_endless() -> None:
    """P6: five unequal readings are five, also when the page size was halved in each."""
    source, orders = Restless(), itertools.count(1)
    fetcher = Fetcher(
        source=source,
        scope=Scope(),
        lane=Lane.SWEEP,
        page_size=4,
        next_sent_order=lambda: SentOrder(next(orders)),
        on_page_halved=lambda _: None,
    )

    async def commit(_: Stride) -> None:
        await asyncio.sleep(0)

    with pytest.raises(WalkBroken, match="5 readings"):
        await crawl_partition(
            checkpoint(),
            fetcher=fetcher,
            commit=commit,
            cut=lambda stride: stride,
            stop=StopSignal(),
        )


async def test_p5_a_short_listing_too_heavy_for_one_page_is_not_swept_by_each_poll(
    migrated_database_url: str,
) -> None:
    """P5: an idle poll costs one request, however heavy the models are."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 30, "m", shortDescription="x" * 200_000)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        async with engine_of(mirror) as engine:
            first = await engine.follow(await engine.prepare())
            time.advance(3600)
            await engine.follow(await engine.prepare())
            before = len(source.requests)
            time.advance(60)
            idle = await engine.follow(await engine.prepare())

        assert (CycleKind.SWEEP, CycleKind.DELTA) == (first.kind, idle.kind)
        assert 1 == len(source.requests) - before
        assert [] == await mirror.differences()


async def test_p9_a_model_that_is_readable_again_with_the_stored_text_leaves_quarantine(
    migrated_database_url: str,
) -> None:
    """P9: what is recognised is not read, but it is readable."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        before = await versions(mirror)
        name = source.live_models()["m00003"]["name"]
        source.update_model("m00003", touch=False, name="nul \0")
        broken = await mirror.sweep()
        between = await quarantined(mirror)
        source.update_model("m00003", touch=False, name=name)
        mended = await mirror.sweep()

        assert (1, ["m00003"]) == (broken.tally.quarantined, between)
        assert [] == await quarantined(mirror)
        assert (0, 0) == (mended.tally.updated, mended.tally.removed)
        assert before == await versions(mirror)


async def test_p1_a_silent_edit_and_its_undoing_are_both_found(migrated_database_url: str) -> None:
    """P1: A, B, A under one ``updatedAt``: each sweep brings what the source lists."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        name = source.live_models()["m00003"]["name"]
        counted = []
        for chosen in ("B", name, "B", name, name):
            source.update_model("m00003", touch=False, name=chosen)
            counted.append((await mirror.sweep()).tally.unannounced)
            assert [] == await mirror.differences()

        assert [1, 1, 1, 1, 0] == counted


async def test_rows_changed_by_hand_are_repaired_although_their_text_is_known(
    migrated_database_url: str,
) -> None:
    """P8: a fingerprint says what a row was read from, not what became of the row."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for change in (
            "SET name = 'x' WHERE id = 'm00001'",
            "SET body = body || '{\"name\": \"x\"}' WHERE id = 'm00002'",
            "SET updated_at = updated_at + interval '1 day' WHERE id = 'm00003'",
            "SET tags = NULL WHERE id = 'm00004'",
            "SET removed_at = now(), removed_reason = 'absent' WHERE id = 'm00005'",
        ):
            await mirror.observer.execute(f"UPDATE scenario.models {change}")
        await mirror.observer.execute("DELETE FROM scenario.models WHERE id = 'm00006'")
        await repaired(mirror)

        assert [] == await mirror.differences()
        assert [] == await tombstones(mirror)
        assert 0 == await mirror.value(
            "SELECT count(*) FROM scenario.models WHERE fingerprint = 0 OR content_hash = ''"
        )


async def test_p2_a_restart_restores_a_tombstone_of_the_same_text(
    migrated_database_url: str,
) -> None:
    """P2: ``backfill --restart`` and ``quarantine retry`` look at tombstones, too."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for model_id in ("m00003", "m00004"):
            source.remove_model(model_id)
        await mirror.sweep()
        gone = await tombstones(mirror)
        source.restore_model("m00003")
        await mirror.refill()
        once = await tombstones(mirror)
        await mirror.observer.execute(
            "INSERT INTO syncer.quarantine (catalog, key, reason, raw, raw_hash, sent_order)"
            " SELECT catalog, id, 'as if', body::text::bytea, '', 0 FROM scenario.models"
            " WHERE id = 'm00004'"
        )
        source.restore_model("m00004")
        async with mirror.context() as context, context.pages.pool.acquire() as connection:
            rows = await list_quarantine(
                connection, context.pages.queries, catalogs=["public"], keys=["m00004"]
            )
            await retry_models(context, rows)

        assert ["m00003", "m00004"] == [model_id for model_id, _ in gone]
        assert [("m00004", "absent")] == once
        assert ([], []) == (await tombstones(mirror), await quarantined(mirror))
        assert [] == await mirror.differences()


async def test_p10_no_signature_comes_with_a_record_that_is_told_by_its_text(
    migrated_database_url: str,
) -> None:
    """P10: in no column of ours, whether a link is plain, odd, a key, or in quarantine."""
    time = SourceTime()
    source = new_source(time)
    links = {
        "plain": "https://cdn.example/a?Expires=1&Signature=TOPSECRET&Key-Pair-Id=K",
        "odd": "https://cdn.example/a?x=<1>&Signature=TOPSECRET",
        "https://cdn.example/a?Policy=TOPSECRET": 1,
        "wandbKey": "TOPSECRET",
    }
    add_models(source, 3, "m", createdAt=LONG_AGO, updatedAt=LONG_AGO, metadata=links)
    add_models(source, 1, "n", createdAt=LONG_AGO, name="nul \0", metadata=links)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        signed = links | {"plain": "https://cdn.example/a?Expires=2&Signature=TOPSECRET2"}
        before = await versions(mirror)
        for model_id in ("m00000", "m00001", "n00000"):
            source.update_model(model_id, touch=False, metadata=signed)
        done = await mirror.sweep()

        assert ["n00000"] == await quarantined(mirror)
        assert (before, 0) == (await versions(mirror), done.tally.quarantined)
        for table in ("scenario.models", "syncer.quarantine"):
            column = "body::text" if table == "scenario.models" else "encode(raw, 'escape')"
            query = f"SELECT string_agg({column}, '') FROM {table}"  # noqa: S608
            shown = await mirror.value(query)
            assert "https://cdn.example/a" in shown
            assert "TOPSECRET" not in shown
        assert not any("TOPSECRET" in repr(event) for event in mirror.events)


async def test_p6_heavy_models_of_one_instant_are_confirmed_and_compared(
    migrated_database_url: str,
) -> None:
    """P6: a token that was given for half a page is not followed with whole ones, for ever."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 40, "m", createdAt=LONG_AGO, shortDescription="x" * 200_000)
    async with (
        asyncio.timeout(4 * HANG_S),
        mirroring(migrated_database_url, source, time=time, source__page_size=64) as mirror,
    ):
        await mirror.sync()
        source.remove_model("m00007")
        before = len(source.requests)
        swept = await mirror.sweep()
        asked = len(source.requests) - before
        result = await repaired(mirror)

    assert (1, None) == (swept.tally.removed, result.error)
    assert asked < 40
