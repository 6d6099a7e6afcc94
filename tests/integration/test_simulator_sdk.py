"""
The official SDK lists the simulated source completely, with strict response validation on.

A client that none of us wrote: whatever it sends must be answered as the real source would, and
whatever it is sent must fit the vendor's published schema.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from scenario_sdk import APIResponseValidationError, AsyncScenario, Scenario
from scenario_sdk.types import ModelListResponse

from syncer.simulator import SimulatedSource, SimulatorOptions

Truth = Callable[[dict[str, Any]], bool]

PAGE_SIZES = (1, 7, 100, 500)
EARLY, LATE = "2025-01-01T00:00:00.000Z", "2025-09-01T00:00:00.000Z"
NEVER = "2099-01-01T00:00:00.000Z"


def anything(_: dict[str, Any]) -> bool:
    return True


QUESTIONS: list[tuple[str, dict[str, Any], Truth]] = [
    ("default order", {}, anything),
    ("score", {"sort_by": "score"}, anything),
    ("created asc", {"sort_by": "createdAt", "sort_direction": "asc"}, anything),
    ("created desc", {"sort_by": "createdAt", "sort_direction": "desc"}, anything),
    ("updated asc", {"sort_by": "updatedAt", "sort_direction": "asc"}, anything),
    ("updated desc", {"sort_by": "updatedAt", "sort_direction": "desc"}, anything),
    ("one type", {"type": "flux.1-lora"}, lambda row: row["type"] == "flux.1-lora"),
    (
        "types",
        {"types": ["custom", "flux.1-composition"]},
        lambda row: row["type"] in {"custom", "flux.1-composition"},
    ),
    ("a type without models", {"type": "zimage-lora"}, lambda _: False),
    (
        "tags",
        {"tags": "Video,Image to 3D"},
        lambda row: not {"Video", "Image to 3D"}.isdisjoint(row["tags"]),
    ),
    ("a tag in the wrong case", {"tags": "video"}, lambda _: False),
    ("a system tag", {"tags": "sc:third-party"}, lambda _: False),
    (
        "created between",
        {"sort_by": "createdAt", "created_after": EARLY, "created_before": LATE},
        lambda row: EARLY < row["createdAt"] < LATE,
    ),
    (
        "updated between",
        {"sort_by": "updatedAt", "updated_after": EARLY, "updated_before": LATE},
        lambda row: EARLY < row["updatedAt"] < LATE,
    ),
    ("updated never", {"sort_by": "updatedAt", "updated_after": NEVER}, lambda _: False),
    ("collections", {"collection_ids": "collection_none"}, lambda _: False),
    ("originals", {"original_assets": True}, anything),
    ("blacklisted, too", {"blacklisted": True}, anything),
    ("tolerated status", {"status": "trained"}, anything),
    ("project", {"project_id": "proj_any"}, anything),
]


@pytest.fixture(name="source")
def fixture_source() -> SimulatedSource:
    return SimulatedSource(SimulatorOptions(models=160, private_models=24, schema_clean=True))


@pytest.fixture(name="base_url")
async def fixture_base_url(source: SimulatedSource) -> AsyncIterator[str]:
    async with source.serve() as base_url:
        yield base_url


@pytest.fixture(name="sdk")
async def fixture_sdk(base_url: str) -> AsyncIterator[AsyncScenario]:
    async with AsyncScenario(
        api_key="key",
        api_secret="secret",
        base_url=base_url,
        max_retries=0,
        _strict_response_validation=True,
    ) as sdk:
        yield sdk


def sync_ids(base_url: str, question: dict[str, Any]) -> list[str]:
    with Scenario(
        api_key="key",
        api_secret="secret",
        base_url=base_url,
        max_retries=0,
        _strict_response_validation=True,
    ) as sdk:
        return [model.id for model in sdk.models.list(**question)]


def assert_same_ids(expected: Iterable[str], listed: list[str]) -> None:
    assert sorted(expected) == sorted(listed)


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize(
    ("question", "truth"), [case[1:] for case in QUESTIONS], ids=[case[0] for case in QUESTIONS]
)
async def test_the_async_sdk_lists_exactly_what_the_source_holds(
    source: SimulatedSource,
    sdk: AsyncScenario,
    question: dict[str, Any],
    truth: Truth,
    page_size: int,
) -> None:
    asked: dict[str, Any] = {"privacy": "public", "page_size": page_size} | question
    listed = [model.id async for model in sdk.models.list(**asked)]
    expected = [model_id for model_id, row in source.live_models().items() if truth(row)]

    assert_same_ids(expected, listed)


@pytest.mark.parametrize("page_size", PAGE_SIZES)
async def test_the_sync_sdk_lists_exactly_what_the_source_holds(
    source: SimulatedSource, base_url: str, page_size: int
) -> None:
    public = {"privacy": "public", "page_size": page_size}
    listed = await asyncio.to_thread(sync_ids, base_url, public)
    filtered = await asyncio.to_thread(sync_ids, base_url, public | {"types": ["flux.1-lora"]})
    models = source.live_models()

    assert_same_ids(models, listed)
    assert_same_ids([key for key in models if models[key]["type"] == "flux.1-lora"], filtered)


@pytest.mark.parametrize("page_size", PAGE_SIZES)
async def test_the_sdk_lists_private_models_and_the_deleted_feed(
    source: SimulatedSource, sdk: AsyncScenario, page_size: int
) -> None:
    gone = list(source.live_models("private"))[:3]
    for model_id in gone:
        source.remove_model(model_id)
    private = [model.id async for model in sdk.models.list(page_size=page_size)]
    trained = [
        model.id
        async for model in sdk.models.list(
            privacy="private", status="trained", sort_by="score", page_size=page_size
        )
    ]
    deleted = [model async for model in sdk.models.list(status="deleted", page_size=page_size)]
    models = source.live_models("private")

    assert_same_ids(models, private)
    assert_same_ids([key for key in models if models[key]["status"] == "trained"], trained)
    assert_same_ids(gone, [model.id for model in deleted])
    assert all(model.deleted_at for model in deleted)


async def test_the_sdk_lists_the_members_of_a_collection(
    source: SimulatedSource, sdk: AsyncScenario
) -> None:
    listed = [model.id async for model in sdk.models.list(collection_id="collection_simulated1")]
    models = source.live_models("private")

    assert_same_ids([key for key in models if models[key]["collectionIds"]], listed)
    assert listed


async def test_the_sdk_retrieves_and_gets_in_bulk_what_it_listed(
    source: SimulatedSource, sdk: AsyncScenario
) -> None:
    ids = list(source.live_models())[:20] + list(source.live_models("private"))[:5]
    bulk = await sdk.models.get_bulk(model_ids=ids)
    for model_id in ids:
        whole = await sdk.models.retrieve(model_id)

        assert whole.model.id == model_id
        assert (whole.model.inputs is not None) == (whole.model.custom is True)
    assert ids == [model.id for model in bulk.models]


async def test_the_sdk_waits_out_a_rate_limit_and_an_outage(
    source: SimulatedSource, base_url: str
) -> None:
    source.add_fault("rate-limit-ms", 1)
    source.add_fault("error-503", 1, when=lambda params: "paginationToken" in params)
    async with AsyncScenario(api_key="key", api_secret="secret", base_url=base_url) as sdk:
        listed = [model.id async for model in sdk.models.list(privacy="public")]

    assert_same_ids(source.live_models(), listed)


async def test_the_sdk_follows_short_pages_and_an_empty_end_token(
    source: SimulatedSource, sdk: AsyncScenario
) -> None:
    source.add_fault("short-pages")
    source.add_fault("empty-string-end-token")
    listed = [model.id async for model in sdk.models.list(privacy="public")]

    assert_same_ids(source.live_models(), listed)


@pytest.mark.parametrize(
    "oddity",
    [{"trainingProgress": {}}, {"accessRestrictions": 1}, {"type": "flux.3-lora"}],
    ids=["trainingProgress", "accessRestrictions", "type"],
)
async def test_what_the_real_source_serves_against_its_schema_is_what_schema_clean_leaves_out(
    source: SimulatedSource, sdk: AsyncScenario, oddity: dict[str, Any]
) -> None:
    """Strict validation is really on: each known violation alone is refused (UPSTREAM §10)."""
    source.add_model(id="odd", **oddity)

    with pytest.raises(APIResponseValidationError):
        await sdk.models.list(privacy="public", sort_by="createdAt", page_size=1)


async def test_a_schema_true_catalog_differs_from_the_real_one_only_in_the_known_oddities() -> None:
    odd = SimulatedSource(SimulatorOptions(models=400)).live_models()
    violations = {error["loc"][0] for row in odd.values() for error in schema_errors(row)}

    assert violations == {"trainingProgress", "accessRestrictions", "type"}


def schema_errors(row: dict[str, Any]) -> list[Any]:
    from pydantic import ValidationError  # noqa: PLC0415 - comes with the SDK, used nowhere else

    try:
        ModelListResponse.model_validate(row, strict=False)
    except ValidationError as error:
        return list(error.errors())
    return []
