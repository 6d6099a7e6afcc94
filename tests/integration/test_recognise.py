"""Unchanged records are told by their text: they are neither read nor written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.hand_made import make_batch, make_model
from support.mirror import SourceTime, add_models, mirroring, new_source

from syncer import cycle
from syncer.api.decode import read_listed
from syncer.domain import NO_FINGERPRINT, SentOrder
from syncer.store.effects import NoEffect
from syncer.store.rows import RawBatch

if TYPE_CHECKING:
    from support.mirror import Mirror

    from syncer.domain import Listed, Model, Unusable

MODELS = 120
SMALL_PAGES: dict[str, Any] = {"source__page_size": 50}
XMINS = "SELECT id, xmin::text FROM scenario.models ORDER BY id"


class Reader:
    """Counts the records that are read to their end."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, listed: Listed) -> Model | Unusable:
        self.ids.append(listed.id)
        return read_listed(listed)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    counting = Reader()
    monkeypatch.setattr(cycle, "read_listed", counting)
    return counting


async def xmins(mirror: Mirror) -> list[Any]:
    return [tuple(record) for record in await mirror.observer.fetch(XMINS)]


async def test_a_sweep_of_unchanged_models_reads_none(
    migrated_database_url: str, reader: Reader
) -> None:
    time = SourceTime()
    source = new_source(time, models=MODELS, volatile=False)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill(**SMALL_PAGES)
        assert MODELS <= len(reader.ids)
        reader.ids.clear()
        before = await xmins(mirror)

        done = await mirror.sweep(**SMALL_PAGES)

        assert [] == reader.ids
        assert before == await xmins(mirror)
        assert done.tally.unchanged >= MODELS


async def test_a_sweep_reads_what_was_written_anew_and_stores_what_differs(
    migrated_database_url: str, reader: Reader
) -> None:
    time = SourceTime()
    source = new_source(time, models=MODELS, volatile=True)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill(**SMALL_PAGES)
        reader.ids.clear()
        before = await xmins(mirror)

        await mirror.sweep(**SMALL_PAGES)

        # Keys in another order: read, compared, left alone.
        assert reader.ids
        assert before == await xmins(mirror)

        model_id = next(iter(source.live_models()))
        source.update_model(model_id, touch=False, name="silently")
        await mirror.sweep(**SMALL_PAGES)

        assert [] == await mirror.differences()


async def test_a_second_backfill_of_the_same_source_reads_only_its_first_pages(
    migrated_database_url: str, reader: Reader
) -> None:
    time = SourceTime()
    source = new_source(time, models=MODELS, volatile=False)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill(**SMALL_PAGES)
        reader.ids.clear()

        await mirror.refill(**SMALL_PAGES)

        assert [] == reader.ids


async def test_a_removed_model_that_is_listed_again_with_the_same_text_is_restored(
    migrated_database_url: str,
) -> None:
    """P2: the text of a tombstone is no reason to leave it one."""
    time = SourceTime()
    source = new_source(time, models=0, volatile=False)
    add_models(source, 5, "m")
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        model_id = next(iter(source.live_models()))
        source.remove_model(model_id)
        await mirror.sweep(allow_removals=1)
        assert 1 == await mirror.value(
            "SELECT count(*) FROM scenario.models WHERE removed_at IS NOT NULL"
        )

        source.restore_model(model_id)
        await mirror.sweep(**SMALL_PAGES)

        assert [] == await mirror.differences()


async def test_a_row_without_a_fingerprint_is_compared_by_its_content(
    migrated_database_url: str,
) -> None:
    """Rows of an earlier version, and those that ``verify`` doubts."""
    time = SourceTime()
    source = new_source(time, models=0)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        async with mirror.context() as context:
            model = make_model("m1")._replace(fingerprint=NO_FINGERPRINT)
            await context.pages.commit_page(make_batch(model), NoEffect())

            stored = await context.pages.recognise(
                RawBatch("public", (model,), (), SentOrder(1), None)
            )

        assert {"m1": model.content_hash} == stored
