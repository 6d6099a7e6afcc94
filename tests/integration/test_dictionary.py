"""What is written for readers is what the database says: dictionary and diagram."""

from __future__ import annotations

import re

import asyncpg
from support.dictionary import COMMAND, DICTIONARY, ROOT, build_dictionary

COLUMNS = """
SELECT table_name AS relation, column_name AS name FROM information_schema.columns
WHERE table_schema = 'scenario'
"""


async def columns_by_relation(url: str) -> dict[str, set[str]]:
    connection = await asyncpg.connect(url)
    try:
        found: dict[str, set[str]] = {}
        for row in await connection.fetch(COLUMNS):
            found.setdefault(row["relation"], set()).add(row["name"])
        return found
    finally:
        await connection.close()


async def test_the_dictionary_is_what_the_comments_say(migrated_database_url: str) -> None:
    built = await build_dictionary(migrated_database_url)

    assert built == DICTIONARY.read_text(encoding="utf-8"), f"it is stale: run '{COMMAND}'"


async def test_the_diagram_shows_what_there_is(migrated_database_url: str) -> None:
    page = (ROOT / "sql" / "ANALYTICS.md").read_text(encoding="utf-8")
    (diagram,) = re.findall(r"```mermaid\nerDiagram\n(.*?)```", page, re.DOTALL)
    real = await columns_by_relation(migrated_database_url)
    entities = dict(re.findall(r"^    (\w+) \{\n(.*?)^    \}", diagram, re.DOTALL | re.MULTILINE))
    related = re.findall(r"^    (\w+) [|o}{]+--[|o}{]+ (\w+) : ", diagram, re.MULTILINE)

    assert len(entities) >= 8
    for name, body in entities.items():
        assert {line.split()[1] for line in body.splitlines()} <= real[name], name
    assert {name for pair in related for name in pair} == entities.keys()
