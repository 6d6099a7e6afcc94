"""P9, one bad thing stays one bad thing: a broken record costs itself, not its page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support import orders
from support.hand_made import AT_MS, make_batch, make_model
from support.mirror import START, SourceTime, add_models, mirroring, new_source, spread

from syncer.domain import Millis, Unusable, format_millis
from syncer.errors import ExitCode
from syncer.store.effects import NoEffect

if TYPE_CHECKING:
    from support.mirror import Mirror

    from syncer.simulator import SimulatedSource

LONG_AGO = START - timedelta(days=100)
SECRET = "wandb-0123456789-secret"
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtdXJs"
CREATED = "2026-08-01T00:00:00.000Z"
BROKEN: dict[str, dict[str, Any]] = {
    "nul": {"name": "a\0b"},
    "surrogate": {"name": "a\ud800b"},
    "no-id": {"id": None},
    "impossible-date": {"updatedAt": "2026-02-30T00:00:00.000Z"},
    "no-date": {"createdAt": None},
    "endless": {"parameters": {"learningRate": "@@1e999999@@"}},
}
"""What makes a record unusable, by what the source knows it by."""


def put_raw(source: SimulatedSource, model_id: str, **changes: Any) -> None:
    """List a record with secrets in it, updated now; ``None`` leaves a field out."""
    record: dict[str, Any] = {
        "id": model_id,
        "type": "custom",
        "name": model_id,
        "createdAt": CREATED,
        "updatedAt": format_millis(source.now_ms()),
        "wandbKey": SECRET,
        "thumbnail": {"assetId": "a", "url": f"https://cdn.example/a?Signature={SIGNATURE}"},
    }
    chosen = {name: value for name, value in (record | changes).items() if value is not None}
    text = json.dumps(chosen).replace('"@@', "").replace('@@"', "")
    source.put_raw(model_id, text.encode(), created_at=CREATED)


def source_with_broken_records(time: SourceTime) -> SimulatedSource:
    """Fifty good models, six broken ones among them, and two that are merely odd."""
    source = new_source(time)
    add_models(source, 50, "m", createdAt=spread(LONG_AGO, step_ms=86_400_000), updatedAt=START)
    for model_id, changes in BROKEN.items():
        put_raw(source, model_id, **changes)
    put_raw(source, "huge", shortDescription="5 MB " * 1_000_000)
    put_raw(source, "unknown", safetyReview={"grade": "A", "nested": [1, None, {"é": 2.5}]})
    return source


async def quarantined(mirror: Mirror) -> dict[str, str]:
    records = await mirror.observer.fetch("SELECT key, reason FROM syncer.quarantine")
    return {record["key"]: record["reason"] for record in records}


async def stored_ids(mirror: Mirror) -> set[str]:
    records = await mirror.observer.fetch("SELECT id FROM scenario.live_models")
    return {record["id"] for record in records}


@pytest.mark.parametrize("page_size", [500, 7])
async def test_the_rest_of_a_page_lands_and_the_outcome_says_what_did_not(
    migrated_database_url: str, page_size: int
) -> None:
    """P9: NUL, lone surrogate, no id, no date, no number: each costs one record, and exit 5."""
    time = SourceTime()
    source = source_with_broken_records(time)
    async with mirroring(
        migrated_database_url, source, time=time, source__page_size=page_size
    ) as mirror:
        done = await mirror.backfill()
        reasons = await quarantined(mirror)
        expected = {f"m{number:05}" for number in range(50)} | {"huge", "unknown"}

        assert expected == await stored_ids(mirror)
        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert done.complete
        assert len(BROKEN) == done.result.open_quarantine == len(reasons)
        assert BROKEN.keys() - {"no-id"} == {key for key in reasons if "sha256:" not in key}
        assert "NUL" in reasons["nul"]
        assert "surrogate" in reasons["surrogate"]
        assert 5_000_000 <= await mirror.value(
            "SELECT length(short_description) FROM scenario.models WHERE id = 'huge'"
        )


async def test_what_is_kept_of_a_broken_record_holds_no_secret(
    migrated_database_url: str,
) -> None:
    """P9, P10: the quarantine holds the record as received, without credentials and signatures."""
    time = SourceTime()
    async with mirroring(
        migrated_database_url, source_with_broken_records(time), time=time
    ) as mirror:
        await mirror.backfill()
        kept = await mirror.observer.fetch("SELECT raw FROM syncer.quarantine")
        stored = await mirror.observer.fetch("SELECT body FROM scenario.models")

    raws = [record["raw"].decode() for record in kept]
    assert len(BROKEN) == len(raws)
    for text in [*raws, *(record["body"] for record in stored)]:
        assert SECRET not in text
        assert SIGNATURE not in text
    assert all("wandbKey" in raw and "https://cdn.example/a" in raw for raw in raws)


async def test_a_model_leaves_the_quarantine_when_it_becomes_readable(
    migrated_database_url: str,
) -> None:
    """P9: the mended version is stored, and the outcome is well again."""
    time = SourceTime()
    source = source_with_broken_records(time)
    source.remove_model("no-id")
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.backfill()
        assert BROKEN.keys() - {"no-id"} == (await quarantined(mirror)).keys()
        time.advance(60)
        for model_id in BROKEN.keys() - {"no-id"}:
            put_raw(source, model_id, name="mended")
        done = await mirror.sync()

        assert {} == await quarantined(mirror)
        assert ExitCode.OK == done.exit_code
        assert [] == await mirror.differences()


async def test_an_older_answer_does_not_empty_the_quarantine(migrated_database_url: str) -> None:
    """P9, P8: a page that was overtaken on its way says nothing of what came after it."""
    old = make_model("m", updated_ms=AT_MS, name="old")
    broken = Unusable("m", "name holds NUL", b'{"id":"m"}', updated_ms=Millis(AT_MS + 5))
    async with mirroring(migrated_database_url) as mirror, mirror.context() as context:
        commit = context.pages.commit_page
        await commit(make_batch(old, sent=1), NoEffect())
        await commit(replace(make_batch(sent=3), unusable=(broken,)), NoEffect())
        await commit(make_batch(old, sent=2), NoEffect())
        kept = await mirror.value("SELECT count(*) FROM syncer.quarantine")
        await commit(make_batch(old, sent=4), NoEffect())

        assert 1 == kept
        assert 0 == await mirror.value("SELECT count(*) FROM syncer.quarantine")


async def test_a_stored_model_whose_new_version_is_broken_keeps_its_last_good_one(
    migrated_database_url: str,
) -> None:
    """P9: the row stays as it was, and the quarantine says that there is something newer."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 5, "m", createdAt=LONG_AGO)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        time.advance(60)
        put_raw(source, "m00002", name="a\0b")
        done = await mirror.sync()

        assert {"m00002"} == (await quarantined(mirror)).keys()
        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert 5 == len(await stored_ids(mirror))


async def test_what_only_postgresql_refuses_is_isolated_from_its_page(
    migrated_database_url: str,
) -> None:
    """P9: a value that slipped through the decoder is found by halves and set aside alone."""

    async def look(mirror: Mirror) -> None:
        assert {"m07", "m13", "m19"} == (await quarantined(mirror)).keys()
        assert 17 == len(await stored_ids(mirror))

    result = await orders.page_with_what_only_postgresql_refuses(migrated_database_url, look)

    assert (17, 3) == (result.inserted, result.quarantined)
