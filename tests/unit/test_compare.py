"""What counts as a difference between a listed model and its row."""

from __future__ import annotations

from typing import Any

import pytest
from support.hand_made import AT_MS, make_model

from syncer.domain import Millis
from syncer.planner.compare import Difference, Stored, difference

LISTED = make_model("m", tags=["a", "b"], capabilities=["txt2img"])


def stored(*, removed: bool = False, body_hash: bytes | None = None, **columns: Any) -> Stored:
    row = LISTED._replace(**columns)
    return Stored(row, LISTED.content_hash if body_hash is None else body_hash, removed)


def test_equal_rows_do_not_differ_whatever_the_order_of_their_tags() -> None:
    assert difference(LISTED, stored()) is None
    assert difference(LISTED, stored(tags=("b", "a"))) is None


def test_what_is_not_live_is_missing() -> None:
    assert difference(LISTED, None) is Difference.MISSING
    assert difference(LISTED, stored(removed=True)) is Difference.MISSING


@pytest.mark.parametrize(
    "columns",
    [
        {"name": "changed by hand"},
        {"tags": ("a",)},
        {"capabilities": None},
        {"updated_ms": Millis(AT_MS + 1)},
        {"created_ms": Millis(AT_MS + 1)},
        {"content_hash": b"other"},
        {"body_hash": b"other"},
        {"custom": True},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_any_column_and_the_stored_body_itself_count(columns: dict[str, Any]) -> None:
    """A hash alone would not notice that somebody changed the row."""
    assert difference(LISTED, stored(**columns)) is Difference.STALE
