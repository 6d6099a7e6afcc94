"""The questions of sql/QUESTIONS.md: answered as written there, and as the source was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from support import postgres
from support.questions import COMMAND, Question, Truth, ask, connect, fill, read_questions

Rows = list[tuple[Any, ...]]


def top(counted: Iterable[Any], most: int | None = None) -> Rows:
    """How often each thing is there: often first, then by name in byte order."""
    ranked = sorted(Counter(counted).items(), key=lambda pair: (-pair[1], str(pair[0])))
    return ranked[:most]


def compliance(truth: Truth, name: str) -> list[Any]:
    return [each["complianceMetadata"].get(name) for each in truth.live]


def targets(truth: Truth) -> list[tuple[str, str]]:
    """Every reference of a live model: what kind, and to which id."""
    found = []
    for each in truth.live:
        found += [("base", base) for base in each.get("compliantModelIds", ())]
        found += [("concept", concept["modelId"]) for concept in each.get("concepts", ())]
        found += [("parent", each["parentModelId"])] if "parentModelId" in each else []
    return found


def types_on_the_third(truth: Truth) -> Rows:
    away = {*truth.gone, truth.back}
    then = Counter(each["type"] for key, each in truth.first.items() if key not in away)
    now = Counter(each["type"] for each in truth.live)
    kinds = sorted(then.keys() | now.keys())
    return [(kind, then[kind], now[kind]) for kind in kinds if then[kind] != now[kind]]


def most_images(truth: Truth) -> Rows:
    trained = [each for each in truth.live if each["trainingImagesNumber"]]
    trained.sort(key=lambda each: (-each["trainingImagesNumber"], each["name"], each["id"]))
    return [
        (each["name"], each["trainingImagesNumber"], each["parameters"].get("rank"))
        for each in trained[:5]
    ]


def inpainting_for_starters(truth: Truth) -> Rows:
    found = [
        each
        for each in truth.live
        if "inpaint" in each["capabilities"] and each["accessRestrictions"] <= 25
    ]
    found.sort(key=lambda each: (each["name"], each["id"]))
    return [(each["name"], each["accessRestrictions"]) for each in found[:5]]


def deprecated(truth: Truth) -> Rows:
    """The only one with a successor is the one that was given it."""
    return [
        (each["name"], truth.now[tag.partition(":")[2]]["name"], "live")
        for each in truth.live
        for tag in each["tags"]
        if tag.startswith("deprecated:")
    ]


EXPECTED: dict[int, Callable[[Truth], Rows]] = {
    1: lambda truth: top(each["type"] for each in truth.live),
    2: lambda _: [("Paper Lanterns", "flux.1-lora", date(2026, 11, 4))],
    3: lambda truth: top(compliance(truth, "modelProvider"), 5),
    4: inpainting_for_starters,
    5: lambda truth: top((c for each in truth.live for c in set(each["capabilities"])), 5),
    6: lambda truth: top(
        (t for each in truth.live for t in set(each["tags"]) if not t.startswith("sc:")), 5
    ),
    7: lambda truth: top(compliance(truth, "subProcessor")),
    8: lambda truth: top(compliance(truth, "licenseTerms"), 5),
    9: lambda truth: top(compliance(truth, "dataProcessingComment")),
    10: deprecated,
    11: lambda truth: top(
        each["type"] for each in truth.live if "flux.1-dev" in each.get("compliantModelIds", ())
    ),
    12: lambda truth: [
        (kind, "unknown", count)
        for kind, count in top(kind for kind, target in targets(truth) if target not in truth.now)
    ],
    13: lambda truth: [
        (date(2026, 11, 1), "insert", None, None),
        (date(2026, 11, 2), "update", truth.first[truth.renamed]["name"], "Renamed Model"),
    ],
    14: lambda truth: [(gone, date(2026, 11, 3), "absent") for gone in sorted(truth.gone)],
    15: types_on_the_third,
    16: lambda truth: [
        (date(2026, 11, 1), len(truth.first), 0, 0, 0),
        (date(2026, 11, 2), 0, 2, 0, 0),
        (date(2026, 11, 3), 0, 0, 3, 0),
        (date(2026, 11, 4), 1, 0, 0, 1),
        (date(2026, 11, 5), 0, 1, 0, 0),
    ],
    17: lambda truth: [
        (
            truth.now[truth.cheaper]["name"],
            date(2026, 11, 2),
            str(truth.first[truth.cheaper]["accessRestrictions"]),
            "0",
        )
    ],
    18: lambda truth: [("Paper Lanterns", truth.now[truth.added]["shortDescription"])],
    19: most_images,
    20: lambda truth: [
        (name, kind, sum(each["custom"] is True for each in truth.live))
        for name, kind in (("image", "file"), ("numOutputs", "number"), ("prompt", "string"))
    ],
    21: lambda _: [("public", True, True, [])],
}


@dataclass(frozen=True, slots=True)
class Scene:
    url: str
    truth: Truth


@pytest.fixture(name="scene", scope="module")
def scene_fixture(postgres_dsn: str, migrated_template: str) -> Iterator[Scene]:
    with postgres.fresh_database(postgres_dsn, template=migrated_template) as url:
        yield Scene(url, postgres.run_apart(fill(url)))


def test_there_are_twenty_and_each_is_checked() -> None:
    numbers = [question.number for question in read_questions()]

    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 20
    assert set(numbers) == EXPECTED.keys()


@pytest.mark.parametrize("question", read_questions(), ids=lambda each: str(each.number))
async def test_it_is_answered_as_written_and_as_it_is(scene: Scene, question: Question) -> None:
    connection = await connect(scene.url)
    try:
        rows, answer = await ask(connection, question.sql)
    finally:
        await connection.close()

    assert rows == EXPECTED[question.number](scene.truth), question.title
    assert answer == question.answer, f"the page is stale: run '{COMMAND}'"
