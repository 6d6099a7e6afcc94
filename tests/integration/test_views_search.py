"""People find models by what they type: names with brackets, beginnings, forms of a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from support.analysts import analyst, record, remove, store

if TYPE_CHECKING:
    from syncer.store.pool import Connection

MODELS = [
    record("dev", name="Flux.1 [dev]", tags=["Black Forest Labs", "sc:third-party"]),
    record("schnell", name="Flux.1 [schnell]", tags=["Black Forest Labs"]),
    record("lora", name="Gentle Knights 7", tags=["Flux.1 LoRA", "fantasy"]),
    record("gpt", name="GPT Image 2", tags=["GPT-Image", "OpenAI"], shortDescription="Edits text."),
    record(
        "gemini",
        name="Gemini 3.1 🍌",
        shortDescription="Generates highly detailed scenes/pictures; keeps lettering of a name.",
    ),
    record("it", name="It", shortDescription="A model with a name of one word."),
    record("epique", name="Épique 城 v2.1", tags=["Texture"], shortDescription="Naïve colours"),
    record("mention", name="Other", shortDescription="Nearly as good as flux.1-dev, but smaller."),
    record("numbers", name="Wan 2.2", tags=None, shortDescription=None),
    record("nameless", shortDescription="Without a name, but with animations."),
    record("gone", name="Flux.1 [dev] old"),
]


@pytest.fixture(name="connection")
async def connection_fixture(migrated_database_url: str) -> AsyncIterator[Connection]:
    async with analyst(migrated_database_url) as connection:
        await store(connection, "public", MODELS)
        await store(connection, "mine", [record("mine", name="My Flux.1 [dev]")])
        await remove(connection, "public", "gone")
        yield connection


async def search(connection: Connection, query: str, *more: object) -> list[str]:
    places = "".join(f", ${number}" for number in range(2, len(more) + 2))
    found = await connection.fetch(
        f"SELECT id FROM scenario.search_models($1{places})",  # noqa: S608 - placeholders
        query,
        *more,
    )
    return [row["id"] for row in found]


FOUND: dict[str, set[str]] = {
    "Flux.1 [dev]": {"dev", "mine", "mention"},
    "flux.1-dev": {"dev", "mine", "mention"},
    "FLUX dev": {"dev", "mine", "mention"},
    "flu": {"dev", "schnell", "lora", "mention", "mine"},
    "schn": {"schnell"},
    "image": {"gpt"},
    "gpt-image": {"gpt"},
    "gemini 3.1": {"gemini"},
    "sc:third-party": {"dev"},
    "forest labs": {"dev", "schnell"},
    '"black labs"': set(),
    '"forest labs"': {"dev", "schnell"},
    "generated pictures": {"gemini"},
    "picture": {"gemini"},
    "fantasies": {"lora"},
    "animati": {"nameless"},
    "texture or knights": {"epique", "lora"},
    "flux -dev": {"schnell", "lora"},
    "flux -lora -schnell": {"dev", "mention", "mine"},
    "the scenes": {"gemini"},
    "It": {"it"},
    "Épique": {"epique"},
    "城": {"epique"},
    "naïve": {"epique"},
    "wan 2.2": {"numbers"},
    "wan 2.3": set(),
    "zzz": set(),
    "": set(),
    "  ": set(),
    "[] -- !!": set(),
}

STRANGE = [
    "'",
    "''",
    "\\",
    "a'b",
    "a\\b",
    "x:*",
    "& | !",
    "((",
    '"',
    '"a',
    "-",
    "-a",
    "or or",
    "<->",
]
STRANGE += ["a" * 5000, "é" * 3000, "a " * 3000, "🍌", 'a -b or -"c d"', "it's", "%", "x" * 2047]


async def test_a_query_finds_what_a_person_means(connection: Connection) -> None:
    found = {query: set(await search(connection, query)) for query in FOUND}

    assert found == FOUND


async def test_no_query_fails(connection: Connection) -> None:
    """Whatever is typed: quotes, operators, words that no index could hold."""
    for query in STRANGE:
        assert isinstance(await search(connection, query), list), query


async def test_the_model_of_that_name_comes_first(connection: Connection) -> None:
    assert (await search(connection, "Flux.1 [schnell]"))[0] == "schnell"
    assert (await search(connection, " flux.1 [DEV] "))[0] == "dev"
    assert (await search(connection, "flux dev"))[-1] == "mention"


async def test_a_search_is_limited_and_narrowed(connection: Connection) -> None:
    assert await search(connection, "flux dev", 10, "mine") == ["mine"]
    assert len(await search(connection, "flux", 2)) == 2
    assert await search(connection, "flux", 0) == []
    assert await search(connection, "flux", -1) == []
    assert len(await search(connection, "flux", None)) == 5


async def test_records_too_long_for_a_text_search_are_stored(connection: Connection) -> None:
    """A tsvector ends at 1 MB, a word at 2 kB: neither may cost the page its commit."""
    many = " ".join(f"word{number}" for number in range(300_000))
    records = [
        record("many", name="Needle " + many, shortDescription=many, tags=["a" * 500] * 3),
        record("long", name="Needle " + "x" * 3000, shortDescription="y" * 3_000_000),
        record("keys", name="Needle", type="t" * 3000, tags=["u" * 3000]),
        record("wide", name="Needle", type="\N{BANANA}" * 500, tags=["\N{BANANA}" * 500]),
    ]
    await store(connection, "public", records)

    found = await search(connection, "needle")
    assert set(found) == {"many", "long", "keys", "wide"}
    assert await connection.fetchval("SELECT type FROM scenario.models WHERE id = 'keys'") is None
