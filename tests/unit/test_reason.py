"""Why a model is gone, as far as its filters and its id tell."""

from __future__ import annotations

from typing import Any

import pytest
from support.hand_made import make_model

from syncer.domain import Privacy, Scope
from syncer.planner.reason import Reason, is_outside, reason_of


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ({"types": ("custom",)}, {"type": "custom"}, {"type": "flux.1"}),
        ({"tags": ("a", "b")}, {"tags": ["b", "c"]}, {"tags": ["c"]}),
        ({"tags": ("a",)}, {"tags": ["a"]}, {"tags": None}),
        ({"collection_ids": ("x",)}, {"collectionIds": ["x"]}, {"collectionIds": []}),
        ({"collection_id": "x"}, {"collectionIds": ["x"]}, {"collectionIds": ["y"]}),
        ({"status": "trained"}, {"status": "trained"}, {"status": "failed"}),
    ],
)
def test_a_filter_leaves_out_what_it_does_not_name(
    scope: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    assert not is_outside(Scope(**scope), make_model("m", **inside))
    assert is_outside(Scope(**scope), make_model("m", **outside))
    assert not is_outside(Scope(), make_model("m", **outside))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (None, Reason.ABSENT),
        ({"privacy": "unlisted"}, Reason.UNLISTED),
        ({"privacy": "private"}, Reason.ABSENT),
        ({"privacy": "public", "tags": ["other"]}, Reason.OUT_OF_SCOPE),
        ({"privacy": "public", "tags": ["mine"]}, Reason.ABSENT),
    ],
)
def test_the_answer_by_id_names_the_reason(fields: dict[str, Any] | None, reason: Reason) -> None:
    """It never confirms: a model that answers by id may be in no listing."""
    scope = Scope(privacy=Privacy.PUBLIC, tags=("mine",))
    retrieved = None if fields is None else make_model("m", **fields)

    assert reason_of(scope, retrieved) is reason
