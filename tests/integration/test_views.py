"""What analysts are told is what the records say, computed a second time, in Python."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.analysts import analyst, inner, items, ordered, record, register, remove, rows, store
from support.analysts import words as texts
from support.mirror import SourceTime, new_source

if TYPE_CHECKING:
    from support.analysts import Record

    from syncer.store.pool import Connection

PUBLIC, PRIVATE, RETIRED = "public", "private", "retired"
PLANS = {0: "Free", 25: "Starter", 50: "Pro", 75: "Max", 100: "Enterprise"}

ODD = (
    None,
    True,
    5,
    1e300,
    "text",
    "",
    " ",
    [],
    {},
    [None],
    [[]],
    [5, "a", {}],
    {"a": [1]},
    "\x7f",
)
"""What a field may hold instead of what it should."""

ODD_PLACES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in ("name", "type", "tags", "capabilities", "collectionIds", "privacy")),
    *((name,) for name in ("concepts", "compliantModelIds", "parentModelId", "class", "epoch")),
    *((name,) for name in ("complianceMetadata", "accessRestrictions", "shortDescription")),
    *((name,) for name in ("trainingImages", "trainingImagePairs", "trainingStats", "epochs")),
    *((name,) for name in ("parameters", "thumbnail", "trainingImagesNumber", "status")),
    *(("complianceMetadata", name) for name in ("licenseTerms", "subProcessor", "modelProvider")),
    *(("trainingStats", name) for name in ("startedAt", "endedAt", "trainDuration")),
    *(("parameters", name) for name in ("nbEpochs", "learningRate", "wandbKey", "nested")),
    ("concepts", "[]"),
    ("concepts", "[]", "modelId"),
    ("concepts", "[]", "scale"),
    ("epochs", "[]"),
    ("epochs", "[]", "assets"),
    ("epochs", "[]", "assets", "[]"),
    ("trainingImages", "[]"),
)


def odd_records() -> list[Record]:
    """Every odd value at every place."""
    found = []
    for place in ODD_PLACES:
        for number, odd in enumerate(ODD):
            value: Any = odd
            for name in reversed(place[1:]):
                value = [value] if name == "[]" else {name: value}
            found.append(record(f"odd_{'.'.join(place)}_{number}", **{place[0]: value}))
    return found


def handmade() -> list[Record]:
    """References, compliance and training as they may be."""
    return [
        record("base", name="Base", type="flux.1-lora", accessRestrictions=1),
        record("gone", name="Gone", type="flux.1-lora"),
        record(
            "blend",
            type="flux.1-composition",
            concepts=[
                {"modelId": "blend", "scale": 0.8},
                {"modelId": "base", "scale": -2, "modelEpoch": "3"},
                {"modelId": "base", "scale": 0.5},
                {"modelId": "gone"},
                {"modelId": "never_listed", "scale": "much"},
                {"scale": 1},
                "base",
            ],
            parentModelId="gone",
            compliantModelIds=["flux.1-dev", 5, "base"],
            complianceMetadata={
                "licenseTerms": ["https://b.example", "https://a.example", "https://a.example", 5],
                "subProcessor": ["Fal", "AWS"],
                "modelProvider": ["Google", "Fal"],
            },
        ),
        record(
            "trained",
            trainingImagesNumber=16,
            trainingImages=[{"id": "asset_1"}, {"id": "asset_2"}],
            epochs=[{"epoch": "1", "assets": []}],
            epoch="1",
            parameters={
                "nbEpochs": 10,
                "learningRate": 0.00005,
                "rank": "64",
                "wandbKey": "secret",
                "storagePath": "/mnt/training",
                "weights": "s3://bucket/w",
                "url": "https://cdn.example/w",
                "conceptPrompt": "",
                "lowVram": False,
                "stages": [1],
            },
            trainingStats={
                "startedAt": "2026-02-30T00:00:00Z",
                "endedAt": "2026-02-03T04:05:06.7Z",
            },
        ),
        record("tagged", tags=["b", "a", "b"], capabilities=["x", "x"], collectionIds=["c", "c"]),
    ]


@pytest.fixture(name="listed", scope="module")
def listed_fixture() -> dict[str, dict[str, Record]]:
    """What each catalog lists."""
    source = new_source(SourceTime(), models=150, private_models=12)
    generated = [*source.live_models("public").values(), *odd_records(), *handmade()]
    return {
        PUBLIC: {each["id"]: each for each in generated},
        PRIVATE: {
            **source.live_models("private"),
            "heir": record("heir", parentModelId="base", type="flux.1-lora"),
        },
        RETIRED: {"base": record("base", tags=["deprecated:x"], type="flux.1-lora")},
    }


@pytest.fixture(name="connection")
async def connection_fixture(
    migrated_database_url: str, listed: dict[str, dict[str, Record]]
) -> AsyncIterator[Connection]:
    async with analyst(migrated_database_url) as connection:
        await register(connection, PUBLIC, PRIVATE)
        await register(connection, RETIRED, retired_at="2026-01-01Z")
        for catalog, records in listed.items():
            await store(connection, catalog, records.values())
        await remove(connection, PUBLIC, "gone")
        yield connection


@pytest.fixture(name="live")
def live_fixture(listed: dict[str, dict[str, Record]]) -> list[tuple[str, Record]]:
    """The live models of configured catalogs."""
    return [
        (catalog, each)
        for catalog in (PUBLIC, PRIVATE)
        for each in listed[catalog].values()
        if each["id"] != "gone"
    ]


def column_list(value: object) -> list[str]:
    """A list column: the field, if it holds nothing but texts."""
    found = items(value)
    return sorted(set(found)) if all(isinstance(each, str) for each in found) else []


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


async def test_lists_of_a_model_are_pairs(connection: Connection, live: Any) -> None:
    """Each pair once, and nothing of a list that is none."""
    for view, column, field in (
        ("model_tags", "tag", "tags"),
        ("model_capabilities", "capability", "capabilities"),
        ("model_collections", "collection_id", "collectionIds"),
    ):
        expected = ordered(
            (c, m["id"], word) for c, m in live for word in column_list(m.get(field))
        )

        assert await rows(connection, view, f"catalog, id, {column}") == expected, view


def references(model: Record) -> list[tuple[str, int, str, object]]:
    """What a record refers to: relation, place, target, scale."""
    concepts = enumerate(items(model.get("concepts")), 1)
    bases = enumerate(items(model.get("compliantModelIds")), 1)
    found = [
        ("concept", place, inner(each, "modelId"), inner(each, "scale")) for place, each in concepts
    ]
    found += [("base", place, each, None) for place, each in bases]
    found += [("parent", 1, model.get("parentModelId"), None)]
    return [each for each in found if isinstance(each[2], str) and each[2] != ""]


def as_number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


async def test_references_tell_what_became_of_their_targets(
    connection: Connection, live: Any
) -> None:
    """Dangling ones are shown, and where else the target is listed."""
    ids = {catalog: {m["id"] for c, m in live if c == catalog} for catalog in (PUBLIC, PRIVATE)}

    def state(catalog: str, target: str) -> str:
        if target in ids[catalog]:
            return "live"
        return "removed" if (catalog, target) == (PUBLIC, "gone") else "unknown"

    expected = ordered(
        (
            *(c, m["id"], relation, place, target, as_number(scale), target == m["id"]),
            *(state(c, target), state(c, target) != "live"),
            [each for each in (PRIVATE, PUBLIC) if target in ids[each]],
        )
        for c, m in live
        for relation, place, target, scale in references(m)
    )

    found = await rows(
        connection,
        "model_concepts",
        "catalog, id, relation, position, target_id, scale::float8, is_self, target_state,"
        " is_dangling, live_in",
    )
    assert found == expected
    assert {"live", "removed", "unknown"} == {row[7] for row in found}
    names = "SELECT DISTINCT target_name FROM scenario.model_concepts WHERE target_id = 'gone'"
    assert await connection.fetchval(names) == "Gone"


async def test_types_are_counted_as_they_are_spelled(connection: Connection, live: Any) -> None:
    counted = Counter((catalog, text(model.get("type"))) for catalog, model in live)

    found = await rows(connection, "type_counts", "catalog, type, models")
    assert found == ordered((*key, number) for key, number in counted.items())


async def test_compliance_is_read_from_texts_and_from_lists(
    connection: Connection, live: Any
) -> None:
    expected, licences, processors = [], [], []
    for catalog, model in live:
        key, said = (catalog, model["id"]), model.get("complianceMetadata")
        terms, others = texts(inner(said, "licenseTerms")), texts(inner(said, "subProcessor"))
        provider = ", ".join(texts(inner(said, "modelProvider"))) or None
        maintainer = text(inner(said, "maintainer"))
        expected.append((*key, provider, maintainer, terms, others))
        licences += [(*key, word) for word in terms]
        processors += [(*key, word) for word in others]

    columns = "catalog, id, provider, maintainer, licence_terms, sub_processors"
    assert await rows(connection, "model_compliance", columns) == ordered(expected)
    found = await rows(connection, "model_licences", "catalog, id, licence_terms")
    assert found == ordered(licences)
    found = await rows(connection, "model_sub_processors", "catalog, id, sub_processor")
    assert found == ordered(processors)


async def test_plans_have_names_and_other_values_have_a_lowest_plan(
    connection: Connection, live: Any
) -> None:
    def level(model: Record) -> int | None:
        value = model.get("accessRestrictions")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def lowest(value: int | None) -> str | None:
        return None if value is None else next((PLANS[n] for n in PLANS if value <= n), None)

    expected = ordered(
        (c, m["id"], level(m), None if level(m) is None else PLANS.get(level(m)), lowest(level(m)))
        for c, m in live
    )

    columns = "catalog, id, access_restrictions, plan, lowest_plan"
    found = await rows(connection, "model_plan_access", columns)
    assert found == expected
    assert (PUBLIC, "base", 1, None, "Starter") in found


async def test_training_tells_what_the_record_says_and_no_secret(
    connection: Connection, live: Any
) -> None:
    """Neither keys nor storage paths nor links, and nothing of a model that was not trained."""
    columns = "catalog, id, training_images_number, listed_images, planned_epochs::float8"
    found = {row[:2]: row[2:] for row in await rows(connection, "model_training", columns)}
    generated = [(c, m) for c, m in live if m["id"].startswith("model_") or c == PRIVATE]
    expected = {
        (c, m["id"]): (
            m["trainingImagesNumber"],
            len(m["trainingImages"]) if "trainingImages" in m else None,
            as_number(m["parameters"].get("nbEpochs")),
        )
        for c, m in generated
        if m.get("trainingImagesNumber") or m.get("parameters")
    }
    row = await connection.fetchrow(
        "SELECT epochs, chosen_epoch, planned_epochs, rank, learning_rate::text, listed_images,"
        " started_at, ended_at, parameters FROM scenario.model_training WHERE id = 'trained'"
    )

    assert len(expected) > 12
    assert {key: found.get(key) for key in expected} == expected
    assert {(c, m["id"]) for c, m in generated} & found.keys() == expected.keys()
    assert row is not None
    assert tuple(row)[:7] == (1, "1", 10, None, "0.00005", 2, None)
    assert row["ended_at"] == datetime(2026, 2, 3, 4, 5, 6, 700_000, tzinfo=UTC)
    shown = {"nbEpochs", "learningRate", "rank", "conceptPrompt", "lowVram"}
    assert json.loads(row["parameters"]).keys() == shown
