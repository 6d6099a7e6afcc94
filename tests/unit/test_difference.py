"""What differs between two versions of a model, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.api.difference import differing_fields
from syncer.api.normalise import content_hash
from syncer.api.record import read_stored

SIGNED = "https://cdn.example/a.png"

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from((0.5, 1.0, "a", "b", "http://x", "HTTPS://y")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("url", "assets", "thumbnails", "x")), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = (
    *("name", "tags", "parameters", "thumbnail", "epochs", "trainingImages", "class", "x"),
    *("trainingProgress", "performanceStats", "capabilities"),
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)


def difference(before: object, after: object) -> tuple[Any, Any]:
    """Both sides as values."""
    old, new = differing_fields(json.dumps(before).encode(), json.dumps(after).encode())
    return json.loads(old), json.loads(new)


def test_only_the_fields_that_differ_come_out() -> None:
    """Each side holds the changed top-level fields whole, and no other."""
    before = {"id": "m", "name": "a", "tags": ["x"], "thumbnail": {"assetId": "1", "url": SIGNED}}
    after = {"id": "m", "name": "b", "tags": ["x"], "thumbnail": {"assetId": "2", "url": SIGNED}}

    assert difference(before, after) == (
        {"name": "a", "thumbnail": {"assetId": "1"}},
        {"name": "b", "thumbnail": {"assetId": "2"}},
    )


def test_a_field_that_came_or_went_is_missing_on_one_side() -> None:
    """Absent and null are two things, as for the hash."""
    assert difference({"a": None, "b": 1}, {"b": None, "c": 2}) == (
        {"a": None, "b": 1},
        {"b": None, "c": 2},
    )
    assert difference({"a": None}, {}) == ({"a": None}, {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"tags": ["a", "b", "a"]}, {"tags": ["b", "a"]}),
        ({"trainingProgress": {"stage": "a"}}, {}),
        ({"performanceStats": 1}, {"performanceStats": 2}),
        ({"thumbnail": {"assetId": "1", "url": "a"}}, {"thumbnail": {"url": "b", "assetId": "1"}}),
        ({"parameters": {"a": "http://x", "b": ["https://y"]}}, {"parameters": {"b": []}}),
        ({"x": {"a": 1, "b": 2.0}}, {"x": {"b": 2, "a": 1.00}}),
    ],
)
def test_what_the_source_changes_by_itself_is_no_difference(before: object, after: object) -> None:
    """Re-signed links, live progress, re-ordered sets and keys, and numbers spelled otherwise."""
    assert difference(before, after) == ({}, {})


def test_true_is_not_one_and_an_order_that_means_something_counts() -> None:
    """Python would take ``True`` for 1."""
    assert difference({"x": True}, {"x": 1}) == ({"x": True}, {"x": 1})
    assert difference({"x": ["a", "b"]}, {"x": ["b", "a"]}) != ({}, {})


def test_numbers_come_out_digit_by_digit() -> None:
    """What jsonb stores exactly is not rounded on its way into the record."""
    exact = b'{"x": 0.12345678901234567890123}'

    assert differing_fields(exact, b'{"x": 1e3}') == (
        b'{"x":0.12345678901234567890123}',
        b'{"x":1E+3}',
    )


@given(before=RECORDS, after=RECORDS)
def test_fields_differ_exactly_where_the_hash_does(before: Any, after: Any) -> None:
    """No difference means equal hashes; taking the difference back gives the old content."""
    old, new = difference(before, after)
    restored = {k: v for k, v in after.items() if k not in {*old, *new}} | old

    assert (old == new == {}) == (digest(before) == digest(after))
    assert digest(restored) == digest(before)
    assert list(new) == sorted(new)


def digest(record: object) -> bytes:
    """The hash of a record as it is stored."""
    return content_hash(read_stored(json.dumps(record).encode()))
