"""``syncer sql``: one statement, or psql; neither writes, and no password is shown."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest
from support.hangup import hangup_is
from support.stored import count_models, fetch_value

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
                "DELETE FROM scenario.models RETURNING id",
                "WITH gone AS (DELETE FROM scenario.models RETURNING 1) SELECT * FROM gone",
                "EXPLAIN ANALYZE DELETE FROM scenario.models",
            )
        ]

    assert await count_models(migrated_database_url) == 5
    for ended in refused:
        assert "read-only transaction" in ended.failed_with(2)


async def test_what_asks_for_no_rows_is_not_even_run(
    place: Place, migrated_database_url: str
) -> None:
    """A read-only transaction lets a superuser's COPY run a program on the server."""
    made = place.home / "made"
    refused = [
        await place.run("sql", statement)
        for statement in (
            f"COPY (SELECT 1) TO PROGRAM 'touch {made}'",
            "COPY scenario.models TO STDOUT",
            "CREATE TABLE x (n integer)",
            "DO $$ BEGIN PERFORM 1; END $$",
            "",
        )
    ]

    for ended in refused:
        assert "asks for no rows, and was not run" in ended.failed_with(2)
    assert not made.exists()


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
    url = migrated_database_url.replace("@/", ":top%40secret@/")
    place.set(database__url=url)
    ended = await place.run("sql")

    arguments, options, password = ended.stdout.splitlines()
    assert ended.code == 2
    assert arguments == migrated_database_url
    assert "search_path=scenario" in options
    assert "default_transaction_read_only=on" in options
    assert password == "top@secret"


async def test_psql_of_an_embedded_server_reads_what_is_piped_into_it(
    bare_place: Place, serve: Serve
) -> None:
    """The real one; the server runs as long as it does."""
    async with serve(models=7):
        await bare_place.run("backfill")
    question = bare_place.home / "question.sql"
    question.write_text(
        "\\pset format unaligned\n\\pset tuples_only on\n"
        "SELECT count(*), current_setting('search_path') FROM live_models;\n"
        "DELETE FROM models;\n"
    )
    with question.open() as stdin:
        async with bare_place.start("sql", stdin=stdin.fileno()) as running:
            ended = await running.end()
    left = socket_dirs(bare_place)

    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "7|scenario"
    assert "cannot execute DELETE in a read-only transaction" in ended.stderr
    assert left == []


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, None)]
)
async def test_sigterm_ends_psql_and_its_server_and_an_interrupt_is_psqls_own(
    bare_place: Place, serve: Serve, signum: signal.Signals, code: int | None
) -> None:
    async with serve(models=2):
        await bare_place.run("backfill")
    inner, outer = os.pipe()
    try:
        with hangup_is(signal.SIG_DFL):
            async with bare_place.start("sql", stdin=inner) as running:
                os.write(outer, b"SELECT 'I am ' || 'open';\n\\echo said\n")
                await running.until(lambda: "said" in running.stdout, "psql to answer")
                running.send(signum)
                if code is None:
                    os.write(outer, b"SELECT 'still ' || 'here';\n\\q\n")
                ended = await running.end(within_s=10)
    finally:
        os.close(inner)
        os.close(outer)
    left = socket_dirs(bare_place)

    assert ended.code == (code or 0), ended.stderr
    assert ("still here" in ended.stdout) == (code is None)
    assert left == []


def socket_dirs(place: Place) -> list[str]:
    """Sockets on which an embedded server of this place would answer."""
    return [str(path) for path in place.home.rglob(".s.PGSQL.*") if path.is_socket()]


async def test_a_database_that_is_away_is_unavailable_to_psql_as_well(place: Place) -> None:
    place.environment["PATH"] = os.defpath
    place.set(database__url="postgresql://somebody@127.0.0.1:1/nothing?connect_timeout=2")
    ended = await place.run("sql")

    assert ended.code == 7
    assert "Traceback" not in ended.stderr


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
        (
            "postgresql:///d?host=/run/x&password=p%2Bw&sslpassword=key",
            ("postgresql:///d?host=/run/x", "p+w"),
        ),
    ],
)
def test_an_address_without_its_password(url: str, expected: tuple[str, str | None]) -> None:
    assert without_password(url) == expected


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("'infinity'::timestamptz", "infinity"),
        ("'-infinity'::date", "-infinity"),
        ("'20000-01-01'::timestamp", "20000-01-01 00:00:00"),
        ("'0001-01-01 BC'::timestamptz", "0001-01-01 00:00:00+00 BC"),
        ("'24:00'::time", "24:00:00"),
        ("interval '1 year 2 months'", "1 year 2 mons"),
        ("'[1,5)'::int4range", "[1,5)"),
        ("b'101'", "101"),
        ("'NaN'::float8", "nan"),
        ("'2026-01-02 03:04:05.678+00'::timestamptz", "2026-01-02T03:04:05.678000Z"),
    ],
)
async def test_a_value_is_shown_as_it_is_and_nothing_else_is_made_of_it(
    place: Place, migrated_database_url: str, expression: str, shown: str
) -> None:
    assert await count_models(migrated_database_url) == 0
    table = await place.run("sql", f"SELECT {expression} AS it")
    lines = await place.run("sql", "--json", f"SELECT {expression} AS it")

    assert table.code == lines.code == 0, table.stderr + lines.stderr
    assert table.stdout.splitlines()[-1] == shown
    assert json.loads(lines.stdout) == {"it": shown}


async def test_nothing_that_a_statement_does_outlives_it(
    place: Place, migrated_database_url: str
) -> None:
    """PostgreSQL 15 lets a read-only transaction make large objects."""
    await place.run("sql", "SELECT lo_from_bytea(0, 'x')")

    objects = "SELECT count(*) FROM pg_largeobject_metadata"
    assert await fetch_value(migrated_database_url, objects) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json", "SELECT 1 AS a, 2 AS a"), "several columns are called a"),
        (("SELECT $1",), "has parameters"),
        (("SELECT m FROM models AS m",), "cannot be shown"),
        (("SELECT tstzrange('2026-01-01', '2026-02-01')",), "cannot be shown"),
    ],
)
async def test_what_could_only_be_shown_wrongly_is_refused(
    place: Place, migrated_database_url: str, arguments: tuple[str, ...], said: str
) -> None:
    assert await count_models(migrated_database_url) == 0
    ended = await place.run("sql", *arguments)

    assert said in ended.failed_with(2)
