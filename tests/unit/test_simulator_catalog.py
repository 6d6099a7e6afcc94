"""The simulated catalog: generation, listings under edits, visibility, and rows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from syncer.simulator import RecordedRequest, SimulatedSource, SimulatorOptions
from syncer.simulator.catalog import VIEWS_KEPT, Order, Scope
from syncer.simulator.instants import format_ms, to_ms
from syncer.simulator.listing import Rules, parse_query
from syncer.simulator.paging import cut_page
from syncer.simulator.requestlog import KEPT, RequestLog
from syncer.simulator.rows import Moment, render
from syncer.simulator.vocabulary import ACCEPTED_TYPES, UNKNOWN_TYPES

NOW = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
RULES = Rules(ACCEPTED_TYPES, project_id=SimulatorOptions().project_id)


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(name="time")
def fixture_time() -> Time:
    return Time()


def make_source(time: Time, **options: object) -> SimulatedSource:
    return SimulatedSource(SimulatorOptions(**options), clock=time)  # type: ignore[arg-type]


def walk(source: SimulatedSource, **params: str) -> list[str]:
    ids: list[str] = []
    token = ""
    while True:
        query = parse_query(params | ({"paginationToken": token} if token else {}), RULES)
        page = cut_page(source.catalog, query)
        ids += page.ids
        if page.next_token is None:
            return ids
        token = page.next_token


def test_equal_seeds_make_equal_catalogs_and_other_seeds_others(time: Time) -> None:
    first = make_source(time, models=300, seed=7).live_models()

    assert first == make_source(time, models=300, seed=7).live_models()
    assert first.keys() != make_source(time, models=300, seed=8).live_models().keys()


def test_equal_seeds_make_equal_churn(time: Time) -> None:
    sources = [make_source(time, models=50, churn_per_minute=60) for _ in range(2)]
    before = sources[0].live_models()
    time.pass_s(120)

    assert sources[0].live_models() == sources[1].live_models() != before


def test_the_catalog_holds_as_many_public_models_as_asked(time: Time) -> None:
    assert len(make_source(time, models=123).live_models()) == 123


def test_generated_models_have_the_oddities_of_the_real_catalog(time: Time) -> None:
    models = list(make_source(time, models=2000).live_models().values())

    assert {model["type"] for model in models} >= {"custom", "flux.1-lora", *UNKNOWN_TYPES}
    assert any(model["accessRestrictions"] == 1 for model in models)
    assert any("wandbKey" in model["parameters"] for model in models)
    assert any(not model["exampleAssetIds"] for model in models)
    assert max(len(model["exampleAssetIds"]) for model in models) > 130
    assert any(not model["name"].isascii() for model in models)
    assert {"performanceStats", "epochs", "thumbnail", "concepts", "safetyReview"} <= set().union(
        *models
    )
    shared = [model["updatedAt"] for model in models]
    assert max(shared.count(at) for at in set(shared)) > 10


def test_nothing_generated_is_from_the_future(time: Time) -> None:
    time.now = datetime(2024, 1, 1, tzinfo=UTC)
    models = make_source(time, models=200).live_models().values()

    assert max(model["updatedAt"] for model in models) <= format_ms(to_ms(time.now))


def test_listings_stay_sorted_and_complete_under_any_edits(time: Time) -> None:
    """The index equals a full sort after every kind of edit."""
    source = make_source(time, models=80)
    scopes = [Scope(), Scope(types=frozenset({"custom"})), Scope(tags=frozenset({"Video", "T2V"}))]
    rng = random.Random(5)  # noqa: S311 - reproducible, not secret
    for _ in range(300):
        time.pass_s(rng.random())
        source.tick(rng)
        for scope in scopes:
            for order in Order:
                expected = sorted(
                    record.key(order) for record in source.catalog if scope.matches(record)
                )

                assert expected == source.catalog.view(scope, order)


@pytest.mark.parametrize("size", ["1", "7", "100", "500"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize(("privacy", "by"), [("public", "updatedAt"), ("private", "createdAt")])
def test_a_quiet_walk_lists_everything_once_in_order(
    time: Time, size: str, direction: str, privacy: str, by: str
) -> None:
    source = make_source(time, models=60, private_models=40)
    models = source.live_models(privacy)
    ids = walk(source, privacy=privacy, pageSize=size, sortBy=by, sortDirection=direction)
    times = [models[model_id][by] for model_id in ids]

    assert sorted(models) == sorted(ids)
    assert sorted(times, reverse=direction == "desc") == times


def test_bounds_are_exclusive_to_the_millisecond(time: Time) -> None:
    source = make_source(time, models=0)
    for name, ms in (("a", 0), ("b", 1), ("c", 2)):
        source.add_model(id=name, updatedAt=NOW + timedelta(milliseconds=ms))
    asked = {"privacy": "public", "sortBy": "updatedAt", "sortDirection": "asc"}
    last = format_ms(to_ms(NOW) + 2)

    assert walk(source, **asked, updatedAfter=format_ms(to_ms(NOW))) == ["b", "c"]
    assert walk(source, **asked, updatedAfter=format_ms(to_ms(NOW)), updatedBefore=last) == ["b"]
    assert walk(source, **asked, updatedAfter=last, updatedBefore=last) == []


def test_a_public_token_is_an_offset_that_skips_a_row_when_one_leaves(time: Time) -> None:
    source = make_source(time, models=0)
    for number in range(6):
        source.add_model(id=f"m{number}", createdAt=NOW + timedelta(seconds=number))
    asked = {"privacy": "public", "sortBy": "createdAt", "sortDirection": "asc", "pageSize": "2"}
    first = cut_page(source.catalog, parse_query(asked, RULES))
    source.remove_model("m0")
    asked["paginationToken"] = first.next_token or ""
    second = cut_page(source.catalog, parse_query(asked, RULES))

    assert first.next_token == "eyJvZmZzZXQiOjIsImxpbWl0IjoyfQ=="
    assert second.ids == ("m3", "m4")


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_private_token_is_a_key_that_skips_nothing(time: Time, direction: str) -> None:
    source = make_source(time, models=0, private_models=0)
    for number in range(6):
        at = NOW + timedelta(seconds=number)
        source.add_model(id=f"m{number}", createdAt=at, privacy="private")
    asked = {"sortBy": "createdAt", "sortDirection": direction, "pageSize": "2"}
    first = cut_page(source.catalog, parse_query(asked, RULES))
    source.remove_model(first.ids[0])
    source.remove_model(first.ids[1])
    asked["paginationToken"] = first.next_token or ""
    second = cut_page(source.catalog, parse_query(asked, RULES))

    assert second.ids == (("m2", "m3") if direction == "asc" else ("m3", "m2"))


def test_a_late_publication_is_invisible_until_its_instant(time: Time) -> None:
    source = make_source(time, models=3)
    late = source.publish_later({"name": "late"}, after_s=60)

    assert late["updatedAt"] == format_ms(to_ms(NOW))
    assert late["id"] not in source.live_models()
    time.pass_s(60)
    assert source.live_models()[late["id"]] == late


def test_a_late_update_leaves_the_old_version_in_the_listing(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m", name="old")
    time.pass_s(1)
    source.publish_later({"id": "m", "name": "new"}, visible_at=NOW + timedelta(seconds=9))

    assert source.live_models()["m"]["name"] == "old"
    time.pass_s(8)
    assert source.live_models()["m"]["name"] == "new"
    assert source.live_models()["m"]["updatedAt"] == format_ms(to_ms(NOW) + 1000)


def test_a_late_version_never_replaces_a_newer_one(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m", name="old")
    source.publish_later({"id": "m", "name": "late", "shortDescription": "kept"}, after_s=5)
    time.pass_s(1)
    source.update_model("m", name="newest")
    time.pass_s(10)

    assert source.live_models()["m"]["name"] == "newest"
    assert source.live_models()["m"]["shortDescription"] == "kept"


def test_publishing_later_needs_to_know_when(time: Time) -> None:
    with pytest.raises(TypeError, match="either visible_at or after_s"):
        make_source(time, models=0).publish_later({})


def test_an_update_moves_the_time_and_a_silent_edit_does_not(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m")
    time.pass_s(5)

    assert source.update_model("m", touch=False, name="x")["updatedAt"] == format_ms(to_ms(NOW))
    assert source.update_model("m", name="y")["updatedAt"] == format_ms(to_ms(NOW) + 5000)
    assert source.live_models()["m"]["createdAt"] == format_ms(to_ms(NOW))


def test_a_removed_public_model_leaves_no_trace_and_can_come_back(time: Time) -> None:
    source = make_source(time, models=3)
    model_id, model = next(iter(source.live_models().items()))
    source.remove_model(model_id)

    assert model_id not in source.live_models()
    assert model_id not in source.deleted_models()
    source.restore_model(model_id)
    assert source.live_models()[model_id] == model


def test_a_removed_private_model_is_in_the_feed_for_thirty_days(time: Time) -> None:
    source = make_source(time, models=0, private_models=0)
    source.add_model(id="m", privacy="private", collectionIds=["c"])
    source.remove_model("m")

    assert source.live_models("private") == {}
    assert source.deleted_models()["m"]["deletedAt"] == format_ms(to_ms(NOW))
    assert walk(source, status="deleted") == ["m"]
    time.pass_s(30 * 86_400)
    assert "m" in source.deleted_models()
    time.pass_s(1)
    assert source.deleted_models() == {}


def test_a_restored_private_model_has_lost_its_tags_and_collections(time: Time) -> None:
    source = make_source(time, models=0, private_models=0)
    source.add_model(id="m", privacy="private", status="training", collectionIds=["c"])
    source.remove_model("m")
    source.restore_model("m")
    model = source.live_models("private")["m"]

    assert (model["tags"], model["collectionIds"], model["status"]) == ([], [], "training-canceled")
    assert "deletedAt" not in model
    with pytest.raises(KeyError, match="is not removed"):
        source.restore_model("m")


def test_an_unknown_model_cannot_be_edited(time: Time) -> None:
    with pytest.raises(KeyError, match="not in the simulated catalog"):
        make_source(time, models=0).update_model("nobody")


def test_blacklisted_models_are_listed_only_on_request(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m")
    source.set_blacklisted("m")
    source.update_model("m", name="still")

    assert walk(source, privacy="public") == []
    assert walk(source, privacy="public", blacklisted="true") == ["m"]


def test_loaded_only_lists_a_part(time: Time) -> None:
    source = make_source(time, models=200)

    assert 0 < len(walk(source, privacy="public", loadedOnly="true")) < 100


def test_a_system_tag_on_a_row_cannot_be_filtered_for(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m", tags=["sc:scenario", "Video"])

    assert walk(source, privacy="public", tags="sc:scenario") == []
    assert walk(source, privacy="public", tags="video") == []
    assert walk(source, privacy="public", tags="Nobody,Video") == ["m"]


def test_the_score_order_moves_with_usage(time: Time) -> None:
    source = make_source(time, models=0)
    for name, score in (("a", 3), ("b", 2), ("c", 1)):
        source.add_model(id=name)
        source.set_score(name, score)
    source.set_score("c", 9)

    assert walk(source, privacy="public") == ["c", "a", "b"]


def test_a_raw_record_is_served_byte_for_byte(time: Time) -> None:
    source = make_source(time, models=0)
    raw = b'{ "name":"\\ud800 \\u0000","createdAt":"2026-02-31T00:00:00Z" }'
    source.put_raw("m", raw, created_at=NOW, updated_at="2026-01-01T00:00:00.000Z")
    record = source.catalog.get("m")

    assert record is not None
    assert render(record.row, Moment(NOW)) == raw
    assert record.updated_ms == to_ms(datetime(2026, 1, 1, tzinfo=UTC))
    assert source.live_models() == {"m": {}}


def test_fields_of_a_wrong_type_do_not_stop_the_source(time: Time) -> None:
    source = make_source(time, models=0)
    source.add_model(id="m", tags="Video", type=5, createdAt="never", updatedAt=None)

    assert walk(source, privacy="public") == ["m"]
    assert walk(source, privacy="public", tags="Video") == []


def test_churn_begins_with_nothing(time: Time) -> None:
    source = make_source(time, models=0)
    operation, model_id = source.tick()

    assert (operation, [model_id]) == ("add", list(source.live_models()))


def test_views_beyond_those_kept_are_built_again(time: Time) -> None:
    source = make_source(time, models=30)
    first = walk(source, privacy="public", type="custom")
    for number in range(VIEWS_KEPT + 1):
        walk(source, privacy="public", tags=f"tag {number}")
    source.remove_model(first[0])

    assert walk(source, privacy="public", type="custom") == first[1:]


def test_the_request_log_stays_bounded() -> None:
    log = RequestLog()
    entries = [
        RecordedRequest(NOW, "GET", str(number), {}, 200, 0, "none") for number in range(KEPT + 1)
    ]
    for entry in entries:
        log.note(entry)

    assert log == entries[KEPT // 2 :]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": -1}, "must not be negative"),
        ({"max_page_size": 501}, "between 1 and 500"),
        ({"rate_per_minute": 0}, "at least 1"),
        ({"latency_ms": -1}, "must not be negative"),
    ],
)
def test_an_impossible_option_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimulatorOptions(**options)  # type: ignore[arg-type]
