"""The rows of the simulated source: what an answer adds, and what it must not touch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from syncer.simulator.options import SimulatorOptions
from syncer.simulator.rows import Moment, content, encode_row, render, signing_deadline
from syncer.simulator.shelf import Shelf

NOW = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)

MODEL = {
    "id": "m",
    "name": "n",
    "thumbnail": {"assetId": "a", "url": "https://cdn.cloud.scenario.com/assets/a"},
    "parameters": {"weightsUrl": "https://sim.s3.amazonaws.com/w"},
    "performanceStats": {"variants": [{"computedAt": "x", "votes": 1234}]},
    "trainingProgress": {"stage": "running-train", "updatedAt": 0},
    "complianceMetadata": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
}


def test_what_an_answer_adds_differs_and_what_the_model_holds_does_not() -> None:
    row = encode_row(MODEL, volatile=True)
    first = render(row, Moment(NOW, 1))
    later = render(row, Moment(NOW + timedelta(days=8), 2))

    assert first != later
    for path in ("thumbnail", "parameters", "performanceStats", "trainingProgress"):
        assert json.loads(first)[path] != json.loads(later)[path]
    orders = {
        tuple(json.loads(render(row, Moment(NOW, variant)))["complianceMetadata"])
        for variant in range(24)
    }
    assert len(orders) > 5
    assert json.loads(first)["complianceMetadata"] == MODEL["complianceMetadata"]
    assert content(row)["thumbnail"] == MODEL["thumbnail"]


def test_a_number_is_recomputed_in_the_statistics_and_nowhere_else() -> None:
    """``parameters.rank`` is a training parameter of a LoRA: content, not a statistic."""
    stats = {"variants": [{"arenaScore": {"rank": 64, "rating": 1234, "votes": 5}}]}
    model = {"id": "m", "parameters": {"rank": 64, "rating": 2}, "performanceStats": stats}
    row = encode_row(model, volatile=True)
    served = [json.loads(render(row, Moment(NOW, variant))) for variant in (1, 2)]

    assert [model["parameters"]] * 2 == [answer["parameters"] for answer in served]
    assert served[0]["performanceStats"] != served[1]["performanceStats"]
    assert content(row)["parameters"] == model["parameters"]


def test_without_volatile_an_answer_is_always_the_same_bytes_and_still_signed() -> None:
    row = encode_row(MODEL, volatile=False)

    assert render(row, Moment(NOW, 1)) == render(row, Moment(NOW + timedelta(days=9), 2))
    assert b"&Signature=" in render(row, Moment(NOW))
    assert b"X-Amz-Signature=" in render(row, Moment(NOW))
    assert content(row) == MODEL


def test_a_restless_answer_signs_anew_orders_all_keys_anew_and_says_the_same() -> None:
    model = {name: value for name, value in MODEL.items() if name != "performanceStats"}
    model |= {"tags": ["t"], "custom": True}
    row = encode_row(model, volatile=True, restless=True)
    answers = [json.loads(render(row, Moment(NOW, variant), 1)) for variant in range(9)]
    urls = [answer["thumbnail"]["url"] for answer in answers]

    assert len(set(urls)) == 9
    assert {len(url) for url in urls} == {len(urls[0])}
    assert len({tuple(answer) for answer in answers}) == 3
    assert all(tuple(first) != tuple(then) for first, then in pairwise(answers))
    assert all(answer["tags"] == ["t"] and answer["id"] == "m" for answer in answers)
    assert content(row) == model


def test_a_source_that_is_restless_is_volatile() -> None:
    with pytest.raises(ValueError, match="restless needs volatile"):
        SimulatorOptions(volatile=False, restless=True)


@pytest.mark.parametrize("volatile", [True, False])
@pytest.mark.parametrize("restless", [True, False])
@pytest.mark.parametrize("assets", [[], ["b"], ["b", 'c"'], ["a", 'c"'], ["d", "e"], "b", [["b"]]])
def test_what_is_kept_on_a_shelf_is_served_as_if_it_were_not(
    assets: object, *, volatile: bool, restless: bool
) -> None:
    shelf = Shelf(["a", "b", 'c"', "d"])
    model = MODEL | {"exampleAssetIds": assets, "tags": ["exampleAssetIds", "b"]}
    del model["performanceStats"]
    kept = encode_row(model, volatile=volatile, restless=restless, shelf=shelf)

    assert content(kept) == model
    plain = encode_row(model, volatile=volatile, restless=restless)
    assert render(kept, Moment(NOW, 5)) == render(plain, Moment(NOW, 5))
    assert (kept.excerpt.text == b'"b","c\\""') == (assets == ["b", 'c"'])


def test_a_signed_url_is_equal_within_its_window_and_has_the_observed_shape() -> None:
    row = encode_row(MODEL, volatile=True)
    url = json.loads(render(row, Moment(NOW)))["thumbnail"]["url"]
    same = json.loads(render(row, Moment(NOW + timedelta(days=2), 9)))["thumbnail"]["url"]
    original = json.loads(render(row, Moment(NOW, 0, original_assets=True)))["thumbnail"]["url"]

    assert url == same
    assert url.startswith("https://cdn.cloud.scenario.com/assets/a?p=100&Policy=")
    assert len(url.partition("Signature=")[2]) == 344
    assert "p=100" not in original


@pytest.mark.parametrize(
    ("issued", "expires"),
    [
        ((2026, 3, 1), (2026, 3, 14)),
        ((2026, 3, 7), (2026, 3, 14)),
        ((2026, 3, 8), (2026, 3, 21)),
        ((2026, 2, 15), (2026, 2, 28)),
        ((2028, 2, 21), (2028, 2, 29)),
        ((2026, 12, 22), (2027, 1, 7)),
        ((2026, 1, 31), (2026, 2, 7)),
    ],
)
def test_signatures_expire_by_the_documented_calendar(
    issued: tuple[int, int, int], expires: tuple[int, int, int]
) -> None:
    deadline = datetime.fromtimestamp(signing_deadline(datetime(*issued, 12, tzinfo=UTC)), UTC)

    assert datetime(*expires, 23, 59, 59, tzinfo=UTC) == deadline


@pytest.mark.parametrize("volatile", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {"id": "m", "complianceMetadata": None, "tags": None},
        {"id": "m", "complianceMetadata": {}, "thumbnail": {}},
        {"thumbnail": {"assetId": "a"}, "complianceMetadata": {"b": 1}},
        {"id": "m", "name": "\u0000", "parameters": "not an object", "unknown": [None]},
    ],
)
def test_whatever_a_model_holds_is_served(fields: dict[str, object], *, volatile: bool) -> None:
    row = encode_row(fields, volatile=volatile)

    assert json.loads(render(row, Moment(NOW, 3))) == fields
    assert content(row) == fields
