"""``syncer sql``: one statement, or psql; neither writes, and no password is shown."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from support.stored import count_models

from syncer.psql import without_password

if TYPE_CHECKING:
    from support.command import Place
    from support.serving import Serve


async def test_a_statement_is_answered_in_a_table_or_in_lines(place: Place, serve: Serve) -> None:
    async with serve(models=30):
        await place.run("sync")
        table = await place.run("sql", "SELECT count(*) AS models, min(name) FROM live_models")
        lines = await place.run(
            "sql",
            "--json",
            "SELECT id, tags, body, created_at, 1.50 AS price, NULL AS nothing, '{}'::bytea AS raw,"
            " now() - now() AS took FROM live_models ORDER BY id LIMIT 2",
        )
        nothing = await place.run("sql", "SELECT 1 AS one WHERE false")

    assert table.code == 0, table.stderr
    head, rule, row = table.stdout.splitlines()
    assert head.split() == ["models", "|", "min"]
    assert set(rule) == {"-", "+"}
    assert row.split()[0] == "30"
    assert "(1 row)" in table.stderr
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert len(rows) == 2
    assert rows[0]["body"]["id"] == rows[0]["id"]
    assert isinstance(rows[0]["tags"], list)
    assert (rows[0]["price"], rows[0]["nothing"], rows[0]["raw"]) == (1.5, None, "\\x7b7d")
    assert nothing.stdout.splitlines() == ["one", "---"]


async def test_it_only_reads(place: Place, serve: Serve, migrated_database_url: str) -> None:
    async with serve(models=5):
        await place.run("sync")
        refused = [
            await place.run("sql", statement)
            for statement in (
                "DELETE FROM scenario.models",
                "CREATE TABLE x (n integer)",
                "WITH gone AS (DELETE FROM scenario.models RETURNING 1) SELECT * FROM gone",
            )
        ]

    assert await count_models(migrated_database_url) == 5
    for ended in refused:
        assert "read-only transaction" in ended.failed_with(2)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "SELECT nothing FROM live_models",
            'column "nothing" does not exist (line 1, character 8)',
        ),
        ("SELECT 1;\nSELECT 2", "multiple commands"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1/0", "division by zero"),
        ("SELECT 1 FROM\nlive_modls", "(line 2, character 1)"),
    ],
)
async def test_what_postgresql_refuses_is_said_in_its_words(
    place: Place, migrated_database_url: str, statement: str, said: str
) -> None:
    assert await count_models(migrated_database_url) == 0
    ended = await place.run("sql", statement)

    assert said in ended.failed_with(2)


async def test_what_the_source_wrote_does_not_steer_a_terminal(place: Place, serve: Serve) -> None:
    async with serve(models=1) as source:
        source.add_model(name="red \x1b[31m\nname")
        await place.run("sync")
        ended = await place.run("sql", "SELECT name FROM live_models")

    assert "\x1b" not in ended.stdout
    assert len(ended.stdout.splitlines()) == 4


async def test_psql_is_told_where_to_go_and_the_password_stays_in_its_environment(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    tools = place.home / "bin"
    tools.mkdir()
    fake = tools / "psql"
    fake.write_text('#!/bin/sh\necho "$@"\necho "$PGOPTIONS"\necho "$PGPASSWORD"\nexit 3\n')
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    async with serve(models=1):
        await place.run("sync")
    place.environment["PATH"] = str(tools)
    url = migrated_database_url.replace("syncer@", "syncer:top%40secret@")
    place.set(database__url=url)
    ended = await place.run("sql")

    arguments, options, password = ended.stdout.splitlines()
    assert ended.code == 2
    assert arguments == migrated_database_url
    assert "search_path=scenario" in options
    assert "default_transaction_read_only=on" in options
    assert password == "top@secret"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p%40w@h:1/d?sslmode=require",
            ("postgresql://u@h:1/d?sslmode=require", "p@w"),
        ),
        ("postgresql://h/d?user=u&password=p%26w", ("postgresql://h/d?user=u", "p&w")),
        ("postgresql://u@/d?host=/run/x", ("postgresql://u@/d?host=/run/x", None)),
        ("postgresql://u:@h/d", ("postgresql://u@h/d", "")),
    ],
)
def test_an_address_without_its_password(url: str, expected: tuple[str, str | None]) -> None:
    assert without_password(url) == expected
