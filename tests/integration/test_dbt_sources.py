"""
deploy/dbt/sources.yml describes the database that this build makes, and its tests hold of a mirror.

The tests of dbt are played as dbt plays them, each as one query for the rows that fail.
"""

# ruff: noqa: S608 - the queries are made of our own file

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from support.changes import insert_changes
from support.mirror import SourceTime, mirroring, new_source
from support.postgres import execute
from support.stored import fetch, fetch_value

SOURCES = Path(__file__).parents[2] / "deploy" / "dbt" / "sources.yml"
SOURCE: dict[str, Any] = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"][0]
TABLES: dict[str, dict[str, Any]] = {table["name"]: table for table in SOURCE["tables"]}
COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'scenario'
"""
OF_ANOTHER_TABLE = re.compile(r"source\('scenario', '(\w+)'\)")


@dataclass(frozen=True, slots=True)
class DataTest:
    """A test of dbt on a column, or on an expression over a table."""

    table: str
    column: str
    kind: str
    arguments: dict[str, Any]

    @property
    def failures(self) -> str:
        """The rows for which it does not hold, as dbt-core's generic tests ask for them."""
        column, table = self.column, f"scenario.{self.table}"
        if self.kind == "not_null":
            return f"SELECT 1 FROM {table} WHERE {column} IS NULL"
        if self.kind == "unique":
            return (
                f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"
                f" GROUP BY {column} HAVING count(*) > 1"
            )
        if self.kind == "accepted_values":
            values = ", ".join(f"'{value}'" for value in self.arguments["values"])
            return f"SELECT 1 FROM {table} WHERE {column} NOT IN ({values})"
        if self.kind == "relationships":
            parent = OF_ANOTHER_TABLE.fullmatch(self.arguments["to"])
            assert parent
            return (
                f"SELECT 1 FROM {table} AS child LEFT JOIN scenario.{parent[1]} AS parent"
                f" ON child.{column} = parent.{self.arguments['field']}"
                f" WHERE child.{column} IS NOT NULL AND parent.{self.arguments['field']} IS NULL"
            )
        raise AssertionError(f"dbt has no test '{self.kind}' of its own")


def data_tests() -> Iterator[DataTest]:
    for table in TABLES.values():
        for test in table.get("data_tests", ()):
            ((kind, arguments),) = test.items()
            yield DataTest(table["name"], arguments["column_name"], kind, {})
        for column in table["columns"]:
            for test in column.get("data_tests", ()):
                kind, keys = (test, {}) if isinstance(test, str) else next(iter(test.items()))
                yield DataTest(table["name"], column["name"], kind, keys.get("arguments", {}))


DATA_TESTS = list(data_tests())


async def failing(url: str) -> list[str]:
    return [
        f"{test.kind} of {test.table}.{test.column}"
        for test in DATA_TESTS
        if await fetch(url, test.failures)
    ]


async def test_every_table_and_column_exists(migrated_database_url: str) -> None:
    rows = await fetch(migrated_database_url, COLUMNS)
    there = {(row["table_name"], row["column_name"]) for row in rows}
    named = {
        (name, column["name"]) for name, table in TABLES.items() for column in table["columns"]
    }

    assert set() == named - there
    assert TABLES.keys() == {table for table, _ in there}
    assert "scenario" == SOURCE["schema"]


async def test_live_models_and_changes_are_described_completely(
    migrated_database_url: str,
) -> None:
    """What most models of dbt are built on: a column that is added later has to be added there."""
    rows = await fetch(migrated_database_url, COLUMNS)
    complete = ("live_models", "model_changes", "sync_status", "model_tags", "model_capabilities")
    for name in complete:
        columns = {row["column_name"] for row in rows if row["table_name"] == name}

        assert columns == {column["name"] for column in TABLES[name]["columns"]}


def test_every_table_is_tested() -> None:
    assert set(TABLES) == {test.table for test in DATA_TESTS}
    assert {"not_null", "unique", "accepted_values", "relationships"} == {
        test.kind for test in DATA_TESTS
    }


async def test_the_tests_hold_of_a_mirror(migrated_database_url: str) -> None:
    source = new_source(SourceTime(), models=60)
    async with mirroring(migrated_database_url, source) as mirror:
        await mirror.backfill()
    await insert_changes(migrated_database_url, 3)

    assert await fetch_value(migrated_database_url, "SELECT count(*) FROM scenario.model_tags")
    assert [] == await failing(migrated_database_url)


async def test_each_of_the_tests_can_fail(database_url: str) -> None:
    """Over tables of the same names that allow what ours forbid."""
    await execute(database_url, "CREATE SCHEMA scenario")
    for name, table in TABLES.items():
        columns = [column["name"] for column in table["columns"]]
        wrong = ", ".join([f"'{name}'"] * len(columns))
        await execute(
            database_url,
            f"CREATE TABLE scenario.{name} ({', '.join(f'{each} text' for each in columns)});"
            f"INSERT INTO scenario.{name} VALUES ({wrong}), ({wrong});"
            f"INSERT INTO scenario.{name} DEFAULT VALUES",
        )

    assert len(DATA_TESTS) == len(await failing(database_url))


AGES = """
    INSERT INTO syncer.catalog (catalog, scope, last_complete_at, retired_at) VALUES
        ('current', '{}', now() - interval '1 minute', NULL),
        ('late', '{}', now() - interval '40 minutes', NULL),
        ('gone', '{}', now() - interval '40 days', now())
"""


async def loaded_ago(url: str) -> timedelta:
    """What dbt calls the age of a source, asked for as dbt does."""
    field = TABLES["sync_status"]["loaded_at_field"]
    age: timedelta = await fetch_value(
        url, f"SELECT current_timestamp - max({field}) FROM scenario.sync_status"
    )
    return age


async def test_the_source_is_as_fresh_as_its_stalest_catalog(migrated_database_url: str) -> None:
    """One that was never complete is stale for good; a retired one does not count."""
    url = migrated_database_url
    await execute(url, AGES)
    late = await loaded_ago(url)
    await execute(url, "INSERT INTO syncer.catalog (catalog, scope) VALUES ('never', '{}')")
    never = await loaded_ago(url)

    assert abs(late - timedelta(minutes=40)) < timedelta(minutes=1)
    assert never > timedelta(days=365 * 50)


async def test_a_stale_source_is_a_warning_first(migrated_database_url: str) -> None:
    limits = TABLES["sync_status"]["freshness"]
    warn, error = (
        timedelta(**{f"{limits[key]['period']}s": limits[key]["count"]})
        for key in ("warn_after", "error_after")
    )
    await execute(migrated_database_url, AGES)

    assert warn < await loaded_ago(migrated_database_url) < error
