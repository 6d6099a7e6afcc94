"""What we encode ourselves reads back as what the driver encodes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import asyncpg
import pytest
from support.hand_made import make_batch, make_model

from syncer.domain import Millis, Model
from syncer.store.binary import CHUNK_BYTES, encode_rows
from syncer.store.copying import copy_rows
from syncer.store.pool import open_connection
from syncer.store.rows import ROW_COLUMNS, Batch, row_from_model

TEXTS = (None, "", "a", "naïve 🍌", "tab\tquote'\"back\\slash\nline", "x" * 5_000)
WORDS = (None, (), ("a",), ("b", "a"), tuple(f"tag {n}" for n in range(200)), ("", "é", "NULL"))
NUMBERS = (None, 0, 1, -1, 25, 2**31 - 1, -(2**31))
FIRST_MS = Millis(-62_135_596_800_000)
"""Year 1, which some writers put where there is no time. To the driver it is minus infinity."""
TIMES = (
    FIRST_MS,
    *map(Millis, (FIRST_MS + 1, -1, 0, 946_684_800_000, 253_402_300_799_999)),
)
PLAIN = ("name", "type", "privacy", "status", "source", "author_id", "owner_id")
OTHERS = ("parent_model_id", "short_description", "thumbnail_asset_id")


def any_model(model_id: str, dice: random.Random) -> Model:
    return make_model(model_id, text="y" * dice.choice((0, 10, 3_000)))._replace(
        **{name: dice.choice(TEXTS) for name in (*PLAIN, *OTHERS)},
        custom=dice.choice((None, True, False)),
        tags=dice.choice(WORDS),
        capabilities=dice.choice(WORDS),
        collection_ids=dice.choice(WORDS),
        access_restrictions=dice.choice(NUMBERS),
        training_images_number=dice.choice(NUMBERS),
        created_ms=dice.choice(TIMES),
        updated_ms=dice.choice(TIMES),
        content_hash=dice.randbytes(dice.choice((0, 16))),
        fingerprint=dice.choice((0, -1, 2**63 - 1, -(2**63))),
    )


async def copied(url: str, batch: Batch, models: Sequence[Model], *, by_driver: bool) -> list[str]:
    """The rows as PostgreSQL shows them; nothing stays."""
    connection = await open_connection(
        url,
        statement_timeout_s=60,
        idle_in_transaction_timeout_s=60,
        application_name="copied",
    )
    try:
        transaction = connection.transaction()
        await transaction.start()
        if by_driver:
            rows = [row_from_model(batch, model) for model in models]
            await connection.copy_records_to_table(
                "models", schema_name="scenario", columns=ROW_COLUMNS, records=rows
            )
        else:
            await copy_rows(connection, encode_rows(batch, models), limit_s=60)
        shown = await connection.fetch(
            "SELECT (to_jsonb(m) - 'first_seen_at' - 'changed_at')::text AS row"
            " FROM scenario.models AS m ORDER BY id"
        )
        await transaction.rollback()
        return [record["row"] for record in shown]
    finally:
        await connection.close()


async def test_rows_are_those_that_the_driver_writes(migrated_database_url: str) -> None:
    dice = random.Random(7)  # noqa: S311 - not for secrets
    batch = make_batch(*(any_model(f"model_{n}", dice) for n in range(300)), sent=2**40)

    ours = await copied(migrated_database_url, batch, batch.models, by_driver=False)

    assert len(ours) == 300
    assert ours == await copied(migrated_database_url, batch, batch.models, by_driver=True)


async def test_a_row_larger_than_a_chunk_is_one_row(migrated_database_url: str) -> None:
    large = make_model("large", text="z" * (3 * CHUNK_BYTES))
    batch = make_batch(make_model("a"), large, make_model("z"))

    ours = await copied(migrated_database_url, batch, batch.models, by_driver=False)

    assert ours == await copied(migrated_database_url, batch, batch.models, by_driver=True)


async def test_no_rows_are_a_copy_too(migrated_database_url: str) -> None:
    batch = make_batch()

    assert list(encode_rows(batch, [])) == [
        b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff",
    ]
    assert await copied(migrated_database_url, batch, [], by_driver=False) == []


async def test_rows_travel_in_chunks(migrated_database_url: str) -> None:
    batch = make_batch(*(make_model(f"m{n:04}", text="t" * 3_000) for n in range(200)))

    sizes = list(map(len, encode_rows(batch, batch.models)))

    assert len(sizes) > 3
    assert max(sizes) < CHUNK_BYTES + 5_000


async def test_what_postgresql_refuses_is_refused(migrated_database_url: str) -> None:
    unstorable = make_model("nul")._replace(name="a\0b")
    batch = make_batch(make_model("a"))

    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        await copied(migrated_database_url, batch, [unstorable], by_driver=False)
