"""The simulated source accepts and refuses list parameters as the real one does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from syncer.simulator.catalog import Order
from syncer.simulator.instants import format_ms, parse_ms, to_ms
from syncer.simulator.listing import BadQuery, Rules, parse_query
from syncer.simulator.vocabulary import ACCEPTED_TYPES

RULES = Rules(ACCEPTED_TYPES, project_id="proj_mine")
AT = "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"privacy": "unlisted"}, "privacy must be one of private, public"),
        ({"privacy": "public", "pageSize": "0"}, "between 1 and 500"),
        ({"privacy": "public", "pageSize": "501"}, "between 1 and 500"),
        ({"privacy": "public", "pageSize": "-1"}, "between 1 and 500"),
        ({"privacy": "public", "pageSize": "ten"}, "between 1 and 500"),
        ({"privacy": "public", "pageSize": "٣"}, "between 1 and 500"),
        ({"privacy": "public", "sortBy": "name"}, "sortBy must be one of"),
        ({"privacy": "public", "sortDirection": "asc"}, "together with sortBy"),
        ({"privacy": "public", "sortBy": "score", "sortDirection": "asc"}, "together with sortBy"),
        ({"privacy": "public", "sortBy": "createdAt", "sortDirection": "up"}, "sortDirection must"),
        ({"privacy": "public", "createdAfter": AT}, "requires sortBy to be createdAt"),
        ({"privacy": "public", "createdBefore": AT, "sortBy": "updatedAt"}, "requires sortBy"),
        ({"privacy": "public", "updatedAfter": AT}, "requires sortBy to be updatedAt"),
        ({"privacy": "public", "updatedBefore": AT, "sortBy": "createdAt"}, "requires sortBy"),
        ({"createdAfter": AT}, "requires sortBy to be createdAt"),
        ({"privacy": "public", "sortBy": "createdAt", "createdAfter": "soon"}, "ISO date"),
        ({"privacy": "public", "sortBy": "createdAt", "createdAfter": ""}, "ISO date"),
        ({"privacy": "public", "type": "custom", "types": "custom"}, "cannot be used together"),
        ({"privacy": "public", "type": "sd-xl"}, "type must be one of"),
        ({"privacy": "public", "types": "custom,flux.3-lora"}, "got flux.3-lora"),
        ({"privacy": "public", "collectionId": "c"}, "only available when privacy=private"),
        ({"privacy": "public", "status": "gone"}, "status must be one of"),
        ({"privacy": "public", "blacklisted": "yes"}, "blacklisted must be one of"),
        ({"sortBy": "updatedAt"}, "only available when privacy=public"),
        ({"sortBy": "updatedAt", "updatedAfter": AT}, "only available when privacy=public"),
        ({"type": "custom"}, "type is only available when privacy=public"),
        ({"types": "custom"}, "types is only available when privacy=public"),
        ({"tags": "Video"}, "tags is only available when privacy=public"),
        ({"collectionIds": "c"}, "collectionIds is only available when privacy=public"),
        ({"status": "copying"}, "status must be one of"),
        ({"sortBy": "score"}, "requires both privacy and status"),
        ({"sortBy": "score", "privacy": "private"}, "requires both privacy and status"),
        ({"sortBy": "score", "status": "trained"}, "requires both privacy and status"),
    ],
)
def test_a_bad_combination_is_refused_with_its_reason(params: dict[str, str], reason: str) -> None:
    with pytest.raises(BadQuery, match=reason):
        parse_query(params, RULES)


@pytest.mark.parametrize(
    ("params", "order", "descending"),
    [
        ({}, Order.CREATED, True),
        ({"privacy": "public"}, Order.SCORE, False),
        ({"privacy": "public", "sortBy": "score"}, Order.SCORE, False),
        ({"privacy": "public", "sortBy": "updatedAt"}, Order.UPDATED, True),
        (
            {"privacy": "public", "sortBy": "updatedAt", "sortDirection": "asc"},
            Order.UPDATED,
            False,
        ),
        ({"sortBy": "createdAt", "sortDirection": "asc"}, Order.CREATED, False),
        ({"privacy": "private", "sortBy": "score", "status": "trained"}, Order.SCORE, False),
    ],
)
def test_the_order_follows_sort_and_privacy(
    params: dict[str, str], order: Order, *, descending: bool
) -> None:
    query = parse_query(params, RULES)

    assert (order, descending) == (query.order, query.descending)


def test_defaults_are_private_and_a_hundred_rows() -> None:
    query = parse_query({}, RULES)

    assert (
        query.scope.privacy,
        query.scope.owner,
        query.page_size,
        query.token,
    ) == ("private", "proj_mine", 100, None)


def test_status_with_public_is_tolerated_and_selects_nothing() -> None:
    query = parse_query({"privacy": "public", "status": "trained"}, RULES)

    assert query.scope.status is None


def test_system_tags_select_nothing_and_the_others_are_a_union() -> None:
    query = parse_query({"privacy": "public", "tags": "sc:featured,Video,T2V"}, RULES)

    assert frozenset({"Video", "T2V"}) == query.scope.tags


def test_deleted_is_a_listing_of_its_own_and_not_a_status() -> None:
    scope = parse_query({"status": "deleted"}, RULES).scope

    assert (scope.deleted, scope.status) == (True, None)


def test_a_project_id_selects_the_owner_of_private_models() -> None:
    assert parse_query({"projectId": "proj_other"}, RULES).scope.owner == "proj_other"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (AT, datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678999Z", datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:00:00+01:00", datetime(2026, 1, 2, 2, tzinfo=UTC)),
    ],
)
def test_bounds_are_read_to_the_millisecond(text: str, at: datetime) -> None:
    assert to_ms(at) == parse_ms(text)


def test_instants_are_written_as_the_source_writes_them() -> None:
    assert format_ms(parse_ms(AT) or 0) == AT


@pytest.mark.parametrize("text", [None, 5, "", "2026-13-01", "0001-01-01T00:00:00+23:00x"])
def test_what_is_no_date_has_no_instant(text: object) -> None:
    assert parse_ms(text) is None
