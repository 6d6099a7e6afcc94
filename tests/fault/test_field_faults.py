"""Every documented field of a model, missing or of another JSON type than promised."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty import HastyClock
from support.mirror import START, SourceTime, add_models, mirroring, new_source, spread

from syncer.domain import format_millis, to_millis
from syncer.errors import ExitCode

if TYPE_CHECKING:
    from support.mirror import Mirror

LONG_AGO = START - timedelta(days=100)
IDENTITY = ("id", "createdAt", "updatedAt")
COLUMNS = {
    "name": str,
    "type": str,
    "privacy": str,
    "status": str,
    "source": str,
    "authorId": str,
    "ownerId": str,
    "parentModelId": str,
    "shortDescription": str,
    "custom": bool,
    "tags": list,
    "capabilities": list,
    "collectionIds": list,
    "accessRestrictions": int,
    "trainingImagesNumber": int,
    "thumbnail": None,
}
"""What becomes a column, and of which type it must be; of ``thumbnail`` a part does."""

BODY_ONLY = (
    *("class", "compliantModelIds", "concepts", "deletedAt", "disableRefund", "epoch", "epochs"),
    *("exampleAssetIds", "inputs", "jobId", "modelKeyword", "negativePromptEmbedding"),
    *("parameters", "performanceStats", "promptEmbedding", "softDeletionOn", "trainingImagePairs"),
    *("trainingImages", "trainingProgress", "trainingStats", "uiConfig", "userId"),
)
FIELDS = (*IDENTITY, *COLUMNS, *BODY_ONLY)

MISSING = object()
VALUES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "number": 5,
    "string": "text",
    "object": {"a": 1},
    "list": ["a"],
    "bool": True,
}
USABLE = {"id": {"string"}, "createdAt": set[str](), "updatedAt": set[str]()}
"""Of the three that a model is nothing without, what will do."""


def column_of(field: str) -> str:
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in field)
    return "thumbnail_asset_id" if field == "thumbnail" else words


def expected_column(field: str, value: Any) -> Any:
    wanted = COLUMNS[field]
    return value if wanted is not None and type(value) is wanted else None


def records(time: SourceTime) -> dict[tuple[str, str], dict[str, Any]]:
    """By field and kind of value: a model that is good but for that."""
    now = format_millis(to_millis(time.now))
    found = {}
    for field in FIELDS:
        for kind, value in VALUES.items():
            record = {
                "id": f"{field}-{kind}",
                "createdAt": now,
                "updatedAt": now,
                "name": "as it should be",
            } | {field: value}
            found[field, kind] = {k: v for k, v in record.items() if v is not MISSING}
    return found


async def stored(mirror: Mirror) -> dict[str, dict[str, Any]]:
    rows = await mirror.observer.fetch("SELECT * FROM scenario.models")
    return {row["id"]: dict(row) for row in rows}


@pytest.mark.parametrize("cycle", ["backfill", "delta"])
async def test_a_field_of_any_type_costs_its_column_and_one_of_the_identity_costs_its_model(
    migrated_database_url: str, cycle: str
) -> None:
    """P9: 41 fields, missing, null and of each JSON type; the others on the page do not suffer."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 3, "good", createdAt=spread(LONG_AGO, step_ms=1000))
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        mirror.clock = HastyClock(time)
        if cycle == "delta":
            await mirror.sync()
            time.advance(60)
        listed = records(time)
        for (field, kind), record in listed.items():
            source.put_raw(f"{field}-{kind}", json.dumps(record).encode())
        done = await mirror.sync()

        usable = {
            (field, kind): record
            for (field, kind), record in listed.items()
            if kind in USABLE.get(field, VALUES)
        }
        rows = await stored(mirror)
        assert done.complete
        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert len(listed) - len(usable) == done.result.open_quarantine
        assert rows.keys() == {record["id"] for record in usable.values()} | {
            f"good{number:05}" for number in range(3)
        }
        for (field, kind), record in usable.items():
            row = rows[record["id"]]
            assert record == json.loads(row["body"]), (field, kind)
            if field in COLUMNS:
                value = record.get(field)
                assert expected_column(field, value) == row[column_of(field)], (field, kind)


def test_every_documented_field_is_tried() -> None:
    assert 41 == len(set(FIELDS))
