"""A deprecated model leads to its successor: through chains, over tombstones, out of circles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from support.analysts import analyst, record, remove, rows, store

if TYPE_CHECKING:
    from support.analysts import Record

    from syncer.store.pool import Connection

MODELS: list[Record] = [
    record("alive"),
    record("gone"),
    record("bare", tags=["deprecated", "3D"]),
    record("empty", tags=["deprecated: "]),
    record("to_alive", tags=["deprecated", "deprecated:alive"]),
    record("to_gone", tags=["deprecated:gone"]),
    record("to_nowhere", tags=["deprecated:never:listed"]),
    record("two_steps", tags=["deprecated:to_alive"]),
    record("three_steps", tags=["deprecated: two_steps "]),
    record("self", tags=["deprecated:self"]),
    record("round_a", tags=["deprecated:round_b"]),
    record("round_b", tags=["deprecated:round_a"]),
    record("into_round", tags=["deprecated:round_a"]),
    record("both", tags=["deprecated:gone", "deprecated:alive", "deprecated:alive"]),
    record("over_tombstone", tags=["deprecated:buried"]),
    record("buried", tags=["deprecated:alive"]),
    record("not_deprecated", tags=["Deprecated", "undeprecated:x", "deprecatedish"]),
    record("no_tags"),
    *(record(f"link_{n:03}", tags=[f"deprecated:link_{n + 1:03}"]) for n in range(120)),
]

EXPECTED = {
    ("bare", None, None, None, None, None),
    ("empty", None, None, None, None, None),
    ("to_alive", "alive", "live", "alive", "live", 1),
    ("to_gone", "gone", "removed", "gone", "removed", 1),
    ("to_nowhere", "never:listed", "unknown", "never:listed", "unknown", 1),
    ("two_steps", "to_alive", "live", "alive", "live", 2),
    ("three_steps", "two_steps", "live", "alive", "live", 3),
    ("self", "self", "live", None, "cycle", 1),
    ("round_a", "round_b", "live", None, "cycle", 2),
    ("round_b", "round_a", "live", None, "cycle", 2),
    ("into_round", "round_a", "live", None, "cycle", 3),
    ("both", "alive", "live", "alive", "live", 1),
    ("both", "gone", "removed", "gone", "removed", 1),
    ("over_tombstone", "buried", "removed", "alive", "live", 2),
}
COLUMNS = "id, successor_id, successor_state, final_id, final_state, steps"


@pytest.fixture(name="connection")
async def connection_fixture(migrated_database_url: str) -> AsyncIterator[Connection]:
    async with analyst(migrated_database_url) as connection:
        await store(connection, "public", MODELS)
        await store(connection, "other", [record("never:listed"), record("gone")])
        await remove(connection, "public", "gone", "buried")
        yield connection


async def test_every_deprecated_model_leads_where_its_tags_say(connection: Connection) -> None:
    found = await rows(connection, "model_deprecations", COLUMNS)

    assert {row for row in found if not row[0].startswith("link_")} == EXPECTED


async def test_a_chain_is_followed_for_fifty_steps(connection: Connection) -> None:
    """Nobody makes such a chain; a source that went mad must not cost the database its memory."""
    found = {row[0]: row[3:] for row in await rows(connection, "model_deprecations", COLUMNS)}

    assert found["link_119"] == ("link_120", "unknown", 1)
    assert found["link_070"] == ("link_120", "unknown", 50)
    assert found["link_069"] == (None, "too long", 50)


async def test_a_long_circle_is_a_circle(connection: Connection) -> None:
    records = [record(f"ring_{n}", tags=[f"deprecated:ring_{(n + 1) % 40}"]) for n in range(40)]
    await store(connection, "ring", records)

    found = await connection.fetch(
        "SELECT DISTINCT final_id, final_state, steps FROM scenario.model_deprecations"
        " WHERE catalog = 'ring'"
    )

    assert [tuple(row) for row in found] == [(None, "cycle", 40)]
