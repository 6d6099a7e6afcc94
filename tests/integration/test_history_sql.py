"""SQL reads a body by the very rules of Python: its volatile parts, and its columns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.history import stable_of
from support.mirror import SourceTime, new_source

from syncer.api.decode import decode_model
from syncer.api.normalise import canonical_fields
from syncer.api.record import read_stored, write_stored
from syncer.domain import Model, to_datetime

COLUMNS = (
    *("name", "type", "privacy", "status", "source", "custom", "tags", "capabilities"),
    *("collection_ids", "author_id", "owner_id", "parent_model_id", "short_description"),
    *("access_restrictions", "training_images_number", "thumbnail_asset_id"),
)
FIELDS = (
    *("name", "type", "privacy", "status", "source", "custom", "tags", "capabilities"),
    *("collectionIds", "authorId", "ownerId", "parentModelId", "shortDescription"),
    *("accessRestrictions", "trainingImagesNumber", "thumbnail", "createdAt", "updatedAt"),
    *("class", "trainingImages", "epochs", "parameters", "trainingProgress"),
    *("performanceStats", "other"),
)

two = "{:02}".format
years, weeks = st.integers(1, 9999), st.integers(1, 53)
dates = st.one_of(
    st.dates().map(str),
    st.dates().map(lambda day: day.strftime("%Y%m%d").rjust(8, "0")),
    st.builds("{:04}-W{:02}{}".format, st.integers(1, 9999), st.integers(1, 53), st.just("")),
    st.builds(
        "{:04}-W{:02}-{}".format, st.integers(1, 9999), st.integers(1, 53), st.integers(1, 7)
    ),
    st.sampled_from(("2024-02-29", "2023-02-29", "2024-13-01", "0000-01-01", "0001-01-01", "x")),
)
fractions = st.just("") | st.builds(
    "{}{}".format, st.sampled_from(".,"), st.text("0123456789", min_size=1, max_size=9)
)
clocks = st.one_of(
    st.integers(0, 23).map(two),
    st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 60)),
    st.builds(
        "{:02}:{:02}:{:02}{}".format,
        st.integers(0, 24), st.integers(0, 59), st.integers(0, 60), fractions,
    ),
    st.builds(
        "{:02}{:02}{:02}{}".format,
        st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), fractions,
    ),
)  # fmt: skip
zones = st.one_of(
    st.sampled_from(("", "Z", "z", "+00:00", "-00:00", "+24:00")),
    st.builds("{}{:02}".format, st.sampled_from("+-"), st.integers(0, 23)),
    st.builds(
        "{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59)
    ),
    st.builds(
        "{}{:02}{:02}{:02}".format,
        st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59),
    ),
)  # fmt: skip
times = dates | st.builds("{}{}{}{}".format, dates, st.sampled_from("Tt _"), clocks, zones)

words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=4)
links = st.sampled_from(("http://x", "HTTPS://y?Signature=1", "httpx", "hTtP", "xhttp", "ftp://z"))
numbers = st.one_of(
    st.integers(-(2**33), 2**33),
    st.sampled_from(
        (2**31, 2**31 - 1, -(2**31), -(2**31) - 1, 25.0, 2.5e1, 0.5, -0.0, 1e300, 1e10)
    ),
)
scalars = st.none() | st.booleans() | numbers | words | links
NAMES = st.sampled_from(("assetId", "url", "thumbnails", "downloadUrl", "assets", "x"))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
# Types and tags are index keys: of 500 characters at most.
texts = st.lists(st.sampled_from(("b", "a", "ä", "A", "b ", "é" * 500, "x" * 501)), max_size=5)


def members(name: str) -> st.SearchStrategy[Any]:
    """Mostly what is documented, else anything."""
    if name.endswith("edAt"):
        return times | values
    if name in {"tags", "capabilities", "collectionIds"}:
        return texts | values
    if name in {"accessRestrictions", "trainingImagesNumber"}:
        return numbers | values
    if name == "custom":
        return st.booleans() | values
    if name in {"trainingImages", "epochs"}:
        return st.lists(values, max_size=3) | values
    # A type is an index key: of 500 characters at most.
    return st.sampled_from(("é" * 500, "x" * 501)) | words | values


records = st.fixed_dictionaries(
    {"createdAt": members("createdAt"), "updatedAt": members("updatedAt")},
    optional={name: members(name) for name in FIELDS if not name.endswith("edAt")},
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A connection for tests that are no coroutines, as Hypothesis wants them."""

    runner: asyncio.Runner
    connection: asyncpg.Connection[asyncpg.Record]

    def row(self, query: str, *arguments: object) -> asyncpg.Record:
        found = self.runner.run(self.connection.fetchrow(query, *arguments))
        assert found is not None
        return found


@pytest.fixture(name="database")
def database_fixture(migrated_database_url: str) -> Iterator[Asked]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(migrated_database_url, timeout=10))
        yield Asked(runner, connection)
        runner.run(connection.close())


many = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(record=records)
def test_columns_read_from_a_body_are_those_that_the_merge_fills(
    database: Asked, record: dict[str, Any]
) -> None:
    """Whatever a field holds: the documented type fills its column, any other leaves it NULL."""
    raw = json.dumps({"id": "m"} | record).encode()
    model = decode_model(raw)
    body = model.body if isinstance(model, Model) else raw
    found = database.row("SELECT * FROM syncer.model_columns($1::text::jsonb)", body.decode())
    if not isinstance(model, Model):
        return

    expected = {name: getattr(model, name) for name in COLUMNS}
    columns = {name: _plain(found[name]) for name in COLUMNS}
    assert columns == expected
    assert found["created_at"] == to_datetime(model.created_ms)
    assert found["updated_at"] == to_datetime(model.updated_ms)


@many
@given(record=records)
def test_the_stable_part_of_a_body_is_the_same_in_sql(
    database: Asked, record: dict[str, Any]
) -> None:
    """What is volatile to the content hash is left out, at any depth, and nothing else."""
    raw = json.dumps(record)
    stable = database.row("SELECT syncer.stable_body($1::text::jsonb)::text AS body", raw)["body"]

    # Both: the one does not see the order of sets, the other not what is volatile to it.
    assert _exact(stable) == _exact(write_stored(stable_of(raw)))
    assert _fields(stable) == canonical_fields(read_stored(raw.encode()))


def test_the_records_of_the_source_are_read_alike(database: Asked) -> None:
    """Hundreds of records as the source serves them, signed links and progress included."""
    source = new_source(SourceTime(), models=150, volatile=True)
    for record in source.live_models().values():
        raw = json.dumps(record)
        model = decode_model(raw.encode())
        assert isinstance(model, Model)
        found = database.row(
            "SELECT c.*, syncer.stable_body(b.body)::text AS stable"
            " FROM (SELECT $1::text::jsonb AS body) AS b, syncer.model_columns(b.body) AS c",
            model.body.decode(),
        )

        assert [_plain(found[name]) for name in COLUMNS] == [
            getattr(model, name) for name in COLUMNS
        ]
        assert _fields(found["stable"]) == canonical_fields(stable_of(model.body))


def test_a_body_nested_as_deep_as_may_be_is_read(database: Asked) -> None:
    """500 levels: neither function uses the server's stack for them."""
    deep: object = ["http://x", "kept"]
    for _ in range(480):
        deep = {"x": deep}
    raw = json.dumps({"parameters": deep, "name": deep})
    stable = database.row("SELECT syncer.stable_body($1::text::jsonb)::text AS body", raw)["body"]

    assert "http" not in stable.split('"parameters"')[1]
    assert stable.count("kept") == 2


async def test_a_column_that_is_added_later_is_filled_from_the_bodies(
    migrated_database_url: str,
) -> None:
    """As sql/README.md says, and without one request."""
    connection = await asyncpg.connect(migrated_database_url)
    try:
        await connection.execute(
            "CREATE TABLE public.models AS SELECT * FROM scenario.models;"
            "INSERT INTO public.models (catalog, id, body, created_at) SELECT 'public', n::text,"
            " jsonb_build_object('modelKeyword', CASE WHEN n % 2 = 0 THEN to_jsonb('word' || n)"
            " ELSE to_jsonb(n) END), now() FROM generate_series(1, 10) AS n;"
            "ALTER TABLE public.models ADD COLUMN model_keyword text;"
            "UPDATE public.models SET model_keyword = syncer.as_text(body -> 'modelKeyword')"
            " WHERE body ? 'modelKeyword';"
        )
        filled = await connection.fetch("SELECT id, model_keyword FROM public.models")
    finally:
        await connection.close()

    assert {row["id"]: row["model_keyword"] for row in filled} == {
        str(n): f"word{n}" if n % 2 == 0 else None for n in range(1, 11)
    }


def _fields(body: str) -> dict[str, bytes]:
    return canonical_fields(read_stored(body.encode()))


def _exact(body: str | bytes) -> Any:
    return json.loads(body, parse_int=Decimal, parse_float=Decimal)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
