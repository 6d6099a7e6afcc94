"""Answers of any length: in batches that fit, of one moment, and none of their rows lost."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from syncer.errors import ConfigError
from syncer.store.answering import BATCH, BATCH_BYTES, open_answer
from syncer.store.pool import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from syncer.store.pool import Connection

ROWS = "SELECT n, repeat('x', {size}) AS text FROM generate_series(1, {count}) AS n ORDER BY n"
SIZES = "SELECT {size} FROM generate_series(1, {count}) AS n ORDER BY n"
MIB = 2**20

SHAPES = {
    "many small rows": ("100", 3_000),
    "large rows": (f"{3 * MIB}", 12),
    "rows that alone are too large": (f"{BATCH_BYTES + 1}", 3),
    "large rows after many small ones": (f"CASE WHEN n <= 950 THEN 10 ELSE {MIB} END", 980),
    "one large row among small ones": (f"CASE n WHEN 500 THEN {BATCH_BYTES * 2} ELSE 10 END", 900),
    "no rows": ("1", 0),
}


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[Connection]:
    opened = connected(url, limit_s=60, application_name="answer test", read_only=True)
    async with opened as connection:
        yield connection


def text_bytes(rows: Sequence[Sequence[object]]) -> int:
    return sum(len(str(row[1])) for row in rows)


async def batches_of(url: str, shape: str, *, measured: bool) -> list[tuple[list[object], int]]:
    """The numbers of each batch, and how many bytes it had."""
    size, count = SHAPES[shape]
    rows, sizes = (text.format(size=size, count=count) for text in (ROWS, SIZES))
    async with (
        reader(url) as connection,
        open_answer(connection, rows, sizes=sizes if measured else "") as answer,
    ):
        return [([row[0] for row in batch], text_bytes(batch)) async for batch in answer.batches]


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_measured_never_holds_more_than_fits(database_url: str, shape: str) -> None:
    """However small the rows before were: only a row that is too large by itself comes alone."""
    found = await batches_of(database_url, shape, measured=True)

    assert [n for numbers, _ in found for n in numbers] == list(range(1, SHAPES[shape][1] + 1))
    for numbers, size_bytes in found:
        assert 0 < len(numbers) <= BATCH
        assert size_bytes <= BATCH_BYTES or len(numbers) == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_not_measured_is_felt_for(database_url: str, shape: str) -> None:
    """Rows like those before them fit; the first of another kind come with less than a batch."""
    found = await batches_of(database_url, shape, measured=False)

    assert [n for numbers, _ in found for n in numbers] == list(range(1, SHAPES[shape][1] + 1))
    assert all(0 < len(numbers) <= BATCH for numbers, _ in found)
    if shape in {"many small rows", "large rows", "rows that alone are too large"}:
        assert all(size <= BATCH_BYTES or len(n) == 1 for n, size in found)


@pytest.mark.parametrize(("measured", "said"), [(4, "more rows"), (6, "where 6 were measured")])
async def test_rows_that_were_not_measured_are_a_bug_and_not_an_answer(
    database_url: str, measured: int, said: str
) -> None:
    """A copy that lacks a row must not look complete."""
    async with (
        reader(database_url) as connection,
        open_answer(
            connection,
            ROWS.format(size=1, count=5),
            sizes=SIZES.format(size=1, count=measured),
        ) as answer,
    ):
        with pytest.raises(AssertionError, match=said):
            _ = [rows async for rows in answer.batches]


async def test_all_rows_are_of_one_moment(database_url: str) -> None:
    """What is written meanwhile belongs to the next answer, for the rows as for their sizes."""
    seen: list[object] = []
    writer = await asyncpg.connect(database_url)
    try:
        await writer.execute("CREATE TABLE public.t AS SELECT n FROM generate_series(1, 3000) AS n")
        async with (
            reader(database_url) as connection,
            open_answer(
                connection,
                "SELECT n FROM public.t ORDER BY n",
                sizes="SELECT 1 FROM public.t ORDER BY n",
            ) as answer,
        ):
            async for rows in answer.batches:
                seen += [row[0] for row in rows]
                await writer.execute("DELETE FROM public.t WHERE n > 500")
                await writer.execute("INSERT INTO public.t VALUES (2000)")
    finally:
        await writer.close()

    assert seen == list(range(1, 3001))


async def test_an_error_tells_all_that_postgresql_tells(database_url: str) -> None:
    """Message, detail, hint and place."""
    statement = "SELECT\n  uper('x')"
    async with reader(database_url) as connection:
        with pytest.raises(ConfigError, match=r"uper\(unknown\) does not exist") as refused:
            async with open_answer(connection, statement, by_user=True):
                pass
        with pytest.raises(ConfigError, match=r"malformed array.*Array value must start") as broken:
            async with open_answer(connection, "SELECT 'x'::int[]", by_user=True):
                pass

    assert "(line 2, character 3)" in str(refused.value)
    assert refused.value.hint is not None
    assert (
        "No function matches" in refused.value.hint or "explicit type casts" in refused.value.hint
    )
    assert broken.value.hint is not None


async def test_several_statements_are_refused_with_the_way_to_ask_them(database_url: str) -> None:
    async with reader(database_url) as connection:
        with pytest.raises(ConfigError, match="multiple commands") as refused:
            async with open_answer(connection, "SELECT 1; SELECT 2", by_user=True):
                pass

    assert "one statement at a time" in str(refused.value.hint)
