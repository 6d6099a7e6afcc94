"""Details: each new or changed model is asked for once, what cannot be had is set aside."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.details import MODELS, retrieved, source_with_models
from support.mirror import CATALOG, SourceTime, add_models, mirroring

from syncer.details import FIRST_WAIT_S, TROUBLES_IN_A_ROW, WORKERS, Details
from syncer.errors import ExitCode, Stopped
from syncer.progress import NoProgress

if TYPE_CHECKING:
    from support.mirror import Done

PLACE = "scenario.model_details"


def said(done: Done) -> dict[str, int]:
    details = done.catalog.details
    assert details is not None
    return details.document


class Shown(NoProgress):
    """What people are shown."""

    def __init__(self) -> None:
        self.estimates: list[int] = []
        self.models = 0
        self.ended: list[tuple[str, str]] = []

    def cycle_started(self, **facts: Any) -> None:
        self.estimates.append(facts["estimated_models"])

    def page_committed(self, **facts: Any) -> None:
        self.models += facts["models"]

    def cycle_finished(self, **facts: Any) -> None:
        self.ended.append((facts["kind"], facts["outcome"]))


@pytest.fixture(name="time")
def time_fixture() -> SourceTime:
    return SourceTime()


async def test_what_no_list_shows_is_stored_for_each_live_model(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        done = await mirror.sync()

        assert done.exit_code is ExitCode.OK
        assert said(done) == {"fetched": 12, "changed": 12, "stored": 12, "failed": 0, "open": 0}
        assert sorted(retrieved(mirror)) == sorted(f"m{number:05}" for number in range(MODELS))
        names = await mirror.value(
            "SELECT array_agg(name ORDER BY position) FROM scenario.live_model_inputs"
            " WHERE id = 'm00003'"
        )
        row = await mirror.observer.fetchrow(
            "SELECT is_required, kind, minimum, maximum, default_value, has_cost_impact"
            " FROM scenario.live_model_inputs WHERE id = 'm00003' AND position = 3"
        )

        assert names == ["prompt", "image", "numOutputs"]
        assert tuple(row) == (None, None, 1, 4, "1", True)
        assert await mirror.value("SELECT bool_and(is_current) FROM scenario.live_model_details")
        shown = await mirror.value(f"SELECT body ->> 'uiConfig' FROM {PLACE} WHERE id = 'm00003'")  # noqa: S608
        assert "triggerGenerate" in shown


async def test_without_being_asked_for_nothing_is_fetched(
    migrated_database_url: str, time: SourceTime
) -> None:
    async with mirroring(migrated_database_url, source_with_models(time), time=time) as mirror:
        done = await mirror.sync()

        assert done.catalog.details is None
        assert retrieved(mirror) == []


async def test_only_what_is_new_or_has_changed_is_asked_for_again(
    migrated_database_url: str, time: SourceTime
) -> None:
    """P5: with all details stored a poll costs no request and no row more."""
    source = source_with_models(time, volatile=True)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync()
        before = await mirror.value(f"SELECT array_agg(xmin ORDER BY id) FROM {PLACE}")  # noqa: S608
        asked = len(retrieved(mirror))
        time.advance(600)
        idle = await mirror.sync()

        assert said(idle)["fetched"] == 0
        assert len(retrieved(mirror)) == asked
        assert before == await mirror.value(f"SELECT array_agg(xmin ORDER BY id) FROM {PLACE}")  # noqa: S608

        source.update_model("m00001", name="Another name")
        add_models(source, 1, "new", custom=True, createdAt=time.now, updatedAt=time.now)
        time.advance(600)
        done = await mirror.sync()

        assert said(done)["fetched"] == 2
        assert sorted(retrieved(mirror)[asked:]) == ["m00001", "new00000"]


async def test_a_process_that_lives_on_looks_at_changes_only(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        async with mirror.context(details=True) as context:
            details = Details(context)
            first = await details.catch_up()
            source.update_model("m00002", name="Another name")
            time.advance(600)
            # The lease is ours; the rows come in as another process would bring them.
            await mirror.observer.execute(
                "UPDATE scenario.models SET content_hash = 'x' WHERE id = 'm00002'"
            )
            unnoticed = await details.catch_up()
            await mirror.observer.execute(
                "INSERT INTO scenario.model_changes (catalog, id, operation, changed_fields,"
                " before, after, source_updated_at, committed_at)"
                " VALUES ($1, 'm00002', 'update', '{}', '{}', '{}', now(), now())",
                CATALOG,
            )
            second = await details.catch_up()

    assert (first.fetched, unnoticed.fetched, second.fetched) == (MODELS, 0, 1)
    assert (first.error, second.error) == (None, None)


async def test_a_model_without_details_is_set_aside_and_the_others_go_on(
    migrated_database_url: str, time: SourceTime
) -> None:
    """P9, and no hammering: it is asked again later, or when its row has changed."""
    source = source_with_models(time)
    source.show_retrieved("m00004", None)
    source.show_retrieved("m00005", b"<html>https://x/?Signature=verysecret</html>")
    source.show_retrieved("m00006", json.dumps({"model": {"id": "other"}}).encode())
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        done = await mirror.sync()
        asked = retrieved(mirror)
        again = await mirror.sync()

        assert done.exit_code is ExitCode.NOT_ALL_WELL
        assert said(done) == {"fetched": 9, "changed": 9, "stored": 9, "failed": 3, "open": 0}
        assert (said(again)["fetched"], said(again)["failed"]) == (0, 3)
        assert retrieved(mirror) == asked
        reasons = await mirror.observer.fetch(
            "SELECT reason FROM syncer.detail_failure ORDER BY id"
        )
        assert "404" in reasons[0]["reason"]
        assert "verysecret" not in reasons[1]["reason"]

        source.show_retrieved("m00004")
        source.update_model("m00004", name="Back")
        time.advance(600)
        changed = await mirror.sync()

        assert retrieved(mirror)[len(asked) :] == ["m00004"]
        assert said(changed)["failed"] == 2

        source.show_retrieved("m00005")
        await mirror.observer.execute(
            "UPDATE syncer.detail_failure SET failed_at = failed_at - $1 * interval '1 s',"
            " retry_at = retry_at - $1 * interval '1 s' WHERE id = 'm00005'",
            FIRST_WAIT_S,
        )
        due = await mirror.sync()

        assert retrieved(mirror)[len(asked) + 1 :] == ["m00005"]
        assert said(due)["failed"] == 1
        assert await mirror.value("SELECT count(*) FROM syncer.detail_failure") == 1


async def test_the_wait_before_another_try_doubles_up_to_a_day(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    source.show_retrieved("m00004", None)
    waits = []
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        for _ in range(12):
            await mirror.sync()
            wait = await mirror.value(
                "SELECT extract(epoch FROM retry_at - failed_at)::float8 FROM syncer.detail_failure"
            )
            waits.append(wait)
            await mirror.observer.execute(
                "UPDATE syncer.detail_failure SET retry_at = failed_at + interval '1 us'"
            )

    assert waits[:4] == [300, 600, 1200, 2400]
    assert waits[-1] == 86_400


async def test_a_source_that_refuses_model_after_model_is_left_in_peace(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    add_models(source, 40, "x", custom=True, createdAt=time.now, updatedAt=time.now)
    time.advance(3600)
    for number in range(40):
        source.show_retrieved(f"x{number:05}", None)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        done = await mirror.sync()

        # The last of the good ones may come in late, and begins the count anew.
        most = MODELS + 2 * TROUBLES_IN_A_ROW + WORKERS
        assert MODELS + TROUBLES_IN_A_ROW <= len(retrieved(mirror)) <= most < MODELS + 40
        assert done.catalog.details is not None
        assert done.catalog.details.tally.error is not None
        assert done.exit_code is ExitCode.NOT_ALL_WELL


async def test_removed_models_hide_their_details_and_restored_ones_bring_them_back(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync()
        source.remove_model("m00007")
        time.advance(4000)
        await mirror.sweep()
        hidden = await mirror.value(
            "SELECT count(*) FROM scenario.live_model_details WHERE id = 'm00007'"
        )
        source.restore_model("m00007", touch=True)
        time.advance(600)
        await mirror.sync()

        assert hidden == 0
        assert await mirror.value(
            "SELECT is_current FROM scenario.live_model_details WHERE id = 'm00007'"
        )
        assert await mirror.value("SELECT count(*) FROM scenario.live_model_inputs") == 3 * MODELS


async def test_what_was_fetched_before_a_stop_is_not_fetched_again(
    migrated_database_url: str, time: SourceTime
) -> None:
    source = source_with_models(time)
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        async with mirror.context(details=True) as context:
            asked = context.source.fetch_model

            async def stop_after_five(model_id: str, **keys: object) -> bytes | None:
                if len(retrieved(mirror)) >= 5:
                    context.stop.set(Stopped("enough"))
                return await asked(model_id, **keys)  # type: ignore[arg-type]

            object.__setattr__(context.source, "fetch_model", stop_after_five)
            stopped = await Details(context).catch_up()
        first = retrieved(mirror)
        done = await mirror.sync()

    again = Counter(retrieved(mirror)) - Counter(set(retrieved(mirror)))
    assert isinstance(stopped.error, Stopped)
    assert stopped.fetched <= len(first) < MODELS
    # What was under way then is left, as its answer may be a minute away.
    assert again.total() == len(first) - stopped.fetched <= WORKERS
    assert said(done)["open"] == 0


@pytest.mark.parametrize(("count", "estimates"), [(60, [60]), (12, [])], ids=["many", "few"])
async def test_people_who_wait_see_how_far_it_is(
    migrated_database_url: str, time: SourceTime, count: int, estimates: list[int]
) -> None:
    """As a cycle is shown; a few are done before anybody wonders."""
    source = source_with_models(time)
    add_models(source, count - MODELS, "x", createdAt=time.now, updatedAt=time.now)
    time.advance(3600)
    shown = Shown()
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync(details=False)
        async with mirror.context(details=True) as context:
            await Details(replace(context, progress=shown)).catch_up()

    assert shown.estimates == estimates
    assert shown.models == count
    assert shown.ended == [("details", "complete")]


async def test_secrets_of_a_retrieved_record_reach_no_table(
    migrated_database_url: str, time: SourceTime
) -> None:
    """P10."""
    source = source_with_models(time)
    record = {
        "id": "m00001",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
        "parameters": {"wandbKey": "topsecret"},
        "thumbnail": {"url": "https://cdn/x?Signature=verysecret"},
        "inputs": [{"name": "a", "default": "https://cdn/y?Signature=verysecret"}, 7, None],
    }
    source.show_retrieved("m00001", json.dumps({"model": record}).encode())
    async with mirroring(migrated_database_url, source, time=time, details=True) as mirror:
        await mirror.sync()
        body = await mirror.value(f"SELECT body::text FROM {PLACE} WHERE id = 'm00001'")  # noqa: S608
        inputs = await mirror.observer.fetch(
            "SELECT name, default_value, body FROM scenario.model_inputs WHERE id = 'm00001'"
            " ORDER BY position"
        )

    assert "secret" not in body.replace("[redacted]", "")
    assert [each["name"] for each in inputs] == ["a", None, None]
    assert "secret" not in str(inputs)
