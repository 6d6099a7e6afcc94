"""What goes on the wire, and the table of every parameter the source offers."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_sdk.types import model_list_params

from syncer.api.query import PARAMETERS, SeedParameter, build_params
from syncer.domain import Millis, Privacy, Question, Scope, SortKey

REFERENCE_PAGE = [
    *("updatedBefore", "sortDirection", "collectionIds", "privacy", "updatedAfter"),
    *("blacklisted", "status", "createdBefore", "sortBy", "createdAfter", "loadedOnly"),
    *("originalAssets", "pageSize", "type", "paginationToken", "tags", "types", "collectionId"),
]
"""In the printed order of the page that the project was started from."""

PUBLIC = Scope()
PRIVATE = Scope(privacy=Privacy.PRIVATE)
DELTA = Question(SortKey.UPDATED, after_ms=None, before_ms=None, page_size=500)
RANGE = Question(SortKey.CREATED, after_ms=None, before_ms=None, page_size=500)
AT = Millis(1_787_331_459_268)


def test_an_open_question_sends_only_order_and_size() -> None:
    assert build_params(PUBLIC, DELTA) == {
        "privacy": "public",
        "sortBy": "updatedAt",
        "sortDirection": "asc",
        "pageSize": "500",
    }


@pytest.mark.parametrize(
    ("key", "after_name", "before_name"),
    [
        (SortKey.UPDATED, "updatedAfter", "updatedBefore"),
        (SortKey.CREATED, "createdAfter", "createdBefore"),
    ],
)
def test_bounds_take_the_name_of_their_sort_key_and_keep_the_millisecond(
    key: SortKey, after_name: str, before_name: str
) -> None:
    question = Question(key, after_ms=AT, before_ms=Millis(AT + 1), page_size=1)

    params = build_params(PUBLIC, question)

    assert params["sortBy"] == key.value
    assert params[after_name] == "2026-08-21T16:57:39.268Z"
    assert params[before_name] == "2026-08-21T16:57:39.269Z"
    assert sum(name.endswith(("After", "Before")) for name in params) == 2


def test_a_bound_at_the_beginning_of_time_is_still_a_bound() -> None:
    question = dataclasses.replace(RANGE, after_ms=Millis(0))

    assert build_params(PUBLIC, question)["createdAfter"] == "1970-01-01T00:00:00.000Z"


def test_lists_are_joined_by_commas() -> None:
    scope = Scope(types=("custom", "flux.1-lora"), tags=("Video", "3D"), collection_ids=("a", "b"))

    params = build_params(scope, DELTA)

    assert params["types"] == "custom,flux.1-lora"
    assert params["tags"] == "Video,3D"
    assert params["collectionIds"] == "a,b"


def test_a_type_partition_replaces_the_scopes_types_and_keeps_the_rest() -> None:
    scope = Scope(types=("custom", "flux.1-lora"), tags=("Video",))

    params = build_params(scope, dataclasses.replace(RANGE, type="custom"))

    assert params["type"] == "custom"
    assert "types" not in params
    assert params["tags"] == "Video"


def test_a_tag_partition_replaces_the_scopes_tags_and_keeps_the_rest() -> None:
    scope = Scope(types=("custom",), tags=("Video", "3D"))

    params = build_params(scope, dataclasses.replace(RANGE, tag="3D"))

    assert params["tags"] == "3D"
    assert params["types"] == "custom"


@pytest.mark.parametrize(
    ("scope", "name", "value"),
    [
        (dataclasses.replace(PRIVATE, collection_id="col_1"), "collectionId", "col_1"),
        (dataclasses.replace(PRIVATE, status="deleted"), "status", "deleted"),
        (dataclasses.replace(PUBLIC, project_id="proj_1"), "projectId", "proj_1"),
        (dataclasses.replace(PUBLIC, blacklisted=True), "blacklisted", "true"),
        (dataclasses.replace(PUBLIC, original_assets=True), "originalAssets", "true"),
        (PRIVATE, "privacy", "private"),
    ],
)
def test_each_narrowing_of_a_catalog_is_sent(scope: Scope, name: str, value: str) -> None:
    assert build_params(scope, RANGE)[name] == value


def test_the_whole_scope_goes_with_a_token_too() -> None:
    scope = Scope(types=("custom",), tags=("Video",))
    question = dataclasses.replace(RANGE, after_ms=AT, token="eyJvZmZzZXQiOjV9")

    with_token = build_params(scope, question)

    without = build_params(scope, dataclasses.replace(question, token=None))
    assert with_token == without | {"paginationToken": "eyJvZmZzZXQiOjV9"}


def test_a_private_listing_is_never_asked_by_updated_at() -> None:
    with pytest.raises(ValueError, match="no updatedAt order"):
        build_params(PRIVATE, DELTA)


def test_every_parameter_of_the_reference_page_has_one_row_and_so_has_project_id() -> None:
    names = [parameter.name for parameter in PARAMETERS]

    assert len(names) == len(set(names))
    assert set(names) == {*REFERENCE_PAGE, "projectId"}


def test_the_table_knows_what_the_vendors_own_client_knows() -> None:
    offered = model_list_params.ModelListParams.__annotations__

    assert {_camel(name) for name in offered} == {parameter.name for parameter in PARAMETERS}


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_a_row_says_how_or_why_not_and_names_the_key_where_there_is_one(row: SeedParameter) -> None:
    assert len(row.reason) > 20
    if row.use == "catalog":
        assert row.key_or_none is not None
        assert row.key_or_none.startswith("catalog.")
    if row.use == "refused":
        assert row.key_or_none is None


words = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1, max_size=8)
lists = st.lists(words, max_size=3).map(tuple)
scopes = st.builds(
    Scope,
    privacy=st.just(Privacy.PUBLIC),
    types=lists,
    tags=lists,
    collection_ids=lists,
    collection_id=st.none() | words,
    status=st.none() | words,
    project_id=st.none() | words,
    blacklisted=st.booleans(),
    original_assets=st.booleans(),
)
times = st.none() | st.integers(0, 4_000_000_000_000).map(Millis)
questions = st.builds(
    Question,
    st.sampled_from(SortKey),
    after_ms=times,
    before_ms=times,
    page_size=st.integers(1, 500),
    token=st.none() | words,
    type=st.none() | words,
    tag=st.none() | words,
)


@given(scope=scopes, question=questions)
def test_nothing_refused_and_nothing_unknown_is_ever_sent(scope: Scope, question: Question) -> None:
    sendable = {row.name for row in PARAMETERS if row.use != "refused"}

    params = build_params(scope, question)

    assert set(params) <= sendable
    assert all(params.values())
    assert not {"type", "types"} <= set(params)


def test_every_sendable_parameter_can_be_sent() -> None:
    scope = Scope(Privacy.PUBLIC, ("t",), ("g",), ("c",), "c", "new", "p", True, True)
    delta = Question(SortKey.UPDATED, AT, AT, 5, token="x", type=None)
    ranged = Question(SortKey.CREATED, AT, AT, 5, type="t")

    sent = {*build_params(scope, delta), *build_params(scope, ranged)}

    assert sent == {row.name for row in PARAMETERS if row.use != "refused"}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)
