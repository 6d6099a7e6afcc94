"""``syncer migrate --reader-role``: a role that reads schema scenario, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support.changes import insert_changes
from support.command import Place
from support.postgres import execute
from support.roles import as_user, dropped_afterwards, login, quoted, unique_role
from support.serving import Serve
from support.stored import fetch, fetch_value

from syncer.store.queries import load_queries

RELATIONS = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1
"""
FORBIDDEN = (
    "INSERT INTO scenario.models SELECT * FROM scenario.models",
    "INSERT INTO scenario.model_changes OVERRIDING SYSTEM VALUE TABLE scenario.model_changes",
    "UPDATE scenario.models SET name = 'mine'",
    "UPDATE scenario.live_models SET name = 'mine'",
    "DELETE FROM scenario.models",
    "TRUNCATE scenario.models",
    "SELECT * FROM scenario.models FOR UPDATE",
    "SELECT nextval('scenario.model_changes_change_id_seq')",
    "CREATE TABLE scenario.mine ()",
    "DROP VIEW scenario.live_models",
    "ALTER TABLE scenario.models ADD COLUMN mine text",
    "SELECT * FROM syncer.catalog",
    "SELECT * FROM syncer.quarantine",
    "INSERT INTO syncer.catalog (catalog, scope) VALUES ('mine', '{}')",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
)


@pytest.fixture(name="role")
async def role_fixture(migrated_database_url: str) -> AsyncIterator[str]:
    """A name of no role yet, and one that only a quoted identifier can be."""
    name = unique_role('Reader of "x"; --')
    async with dropped_afterwards(migrated_database_url, name):
        yield name


async def is_role(url: str, name: str) -> bool:
    found: bool = await fetch_value(
        url, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name
    )
    return found


async def grants_left(url: str, name: str) -> list[str]:
    return [row["statement"] for row in await fetch(url, load_queries()["plan_grants"], name)]


async def test_a_login_of_the_role_reads_all_of_schema_scenario(
    place: Place, serve: Serve, migrated_database_url: str, role: str
) -> None:
    """The views too, although they read schema syncer."""
    url = migrated_database_url
    async with serve(models=30):
        assert (await place.run("sync")).code == 0
    ended = await place.run("migrate", "--reader-role", role)
    async with login(url, quoted(role)) as user:
        relations = [row["name"] for row in await fetch(url, RELATIONS, "scenario")]
        for relation in relations:
            await fetch(as_user(url, user), f"SELECT * FROM {relation} LIMIT 1")  # noqa: S608
        live = await fetch_value(
            as_user(url, user), "SELECT count(*) FROM scenario.live_models WHERE type IS NOT NULL"
        )
        status = await fetch(as_user(url, user), "SELECT * FROM scenario.sync_status")

    assert (ended.code, ended.stderr) == (0, "")
    assert {"scenario.live_models", "scenario.sync_status", "scenario.model_changes"} < set(
        relations
    )
    assert live == 30
    assert [(row["catalog"], row["live_models"]) for row in status] == [("public", 30)]


async def test_a_login_of_the_role_can_do_nothing_else(
    place: Place, migrated_database_url: str, role: str
) -> None:
    await place.run("migrate", "--reader-role", role)
    allowed = []
    async with login(migrated_database_url, quoted(role)) as user:
        for statement in FORBIDDEN:
            try:
                await execute(as_user(migrated_database_url, user), statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            allowed.append(statement)

    assert [] == allowed


async def test_nobody_logs_in_as_the_role_itself(
    place: Place, migrated_database_url: str, role: str
) -> None:
    await place.run("migrate", "--reader-role", role)
    attributes = await fetch(
        migrated_database_url,
        "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = $1",
        role,
    )

    assert [set(row.values()) for row in attributes] == [{False}]


async def test_a_login_of_the_role_follows_the_changes(
    place: Place, migrated_database_url: str, role: str
) -> None:
    """The reference consumer needs no more than this role: with and without names of catalogs."""
    url = migrated_database_url
    await place.run("migrate", "--reader-role", role)
    await execute(url, "INSERT INTO syncer.catalog (catalog, scope) VALUES ('ours', '{}')")
    async with login(url, quoted(role)) as user:
        place.set(database__url=as_user(url, user))
        first = await insert_changes(url)
        ours = await insert_changes(url, catalog="ours")
        only = await place.run("changes", "--json", "--catalog", "ours")
        async with place.start("changes", "--json", "--follow", "--limit", 3) as running:
            await running.until(lambda: running.stdout.count("\n") == 2, "what is there")
            later = await insert_changes(url)
            ended = await running.end()

    assert (only.code, json.loads(only.stdout)["change_id"]) == (0, ours[0])
    assert (ended.code, ended.stderr) == (0, "")
    printed = [json.loads(line)["change_id"] for line in ended.stdout.splitlines()]
    assert first + ours + later == printed


async def test_a_login_of_the_role_takes_the_mirror_away_and_asks_it(
    place: Place, serve: Serve, migrated_database_url: str, role: str
) -> None:
    async with serve(models=12):
        await place.run("sync")
    await place.run("migrate", "--reader-role", role)
    async with login(migrated_database_url, quoted(role)) as user:
        place.set(database__url=as_user(migrated_database_url, user))
        exported = await place.run("export", "--format", "jsonl", "--catalog", "public")
        asked = await place.run("sql", "--json", "SELECT count(*) AS models FROM live_models")

    assert (exported.code, len(exported.stdout.splitlines())) == (0, 12), exported.stderr
    assert (asked.code, asked.document) == (0, {"models": 12}), asked.stderr


async def test_later_tables_and_functions_can_be_read_as_well(
    place: Place, migrated_database_url: str, role: str
) -> None:
    """Also functions that PUBLIC may not call."""
    url = migrated_database_url
    await place.run("migrate", "--reader-role", role)
    await execute(
        url,
        "CREATE TABLE scenario.later AS SELECT 1 AS one;"
        "CREATE FUNCTION scenario.two() RETURNS integer LANGUAGE sql AS 'SELECT 2';"
        "REVOKE EXECUTE ON FUNCTION scenario.two() FROM PUBLIC",
    )
    async with login(url, quoted(role)) as user, login(url) as stranger:
        values = await fetch(as_user(url, user), "SELECT one, scenario.two() FROM scenario.later")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(as_user(url, stranger), "SELECT * FROM scenario.later")

    assert values == [{"one": 1, "two": 2}]


BEYOND_READERS = r"""
    SELECT p.proname
    FROM pg_proc AS p INNER JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'scenario' AND p.prokind <> 'a' AND CASE
        WHEN p.prosecdef THEN array_to_string(p.proconfig, ' ') IS NULL
            OR array_to_string(p.proconfig, ' ') !~ '(^| )search_path='
        -- Names in such a body were looked up when it was made: only what it reads needs a right.
        WHEN p.prosqlbody IS NOT NULL THEN EXISTS (
            SELECT FROM pg_depend AS d
            INNER JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                AND c.relnamespace = 'syncer'::regnamespace
        )
        ELSE p.prosrc ~ '\msyncer\.'
    END
    ORDER BY 1
"""
PLANTED = """
    CREATE FUNCTION scenario.reads_ours() RETURNS bigint LANGUAGE sql
        AS 'SELECT count(*) FROM syncer.catalog';
    CREATE FUNCTION scenario.reads_ours_too() RETURNS bigint LANGUAGE sql
        BEGIN ATOMIC SELECT count(*) FROM syncer.catalog; END;
    CREATE FUNCTION scenario.looks_anywhere() RETURNS integer SECURITY DEFINER LANGUAGE sql
        AS 'SELECT 1';
    CREATE FUNCTION scenario.reads_for_readers() RETURNS bigint SECURITY DEFINER LANGUAGE sql
        SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM syncer.catalog';
    CREATE FUNCTION scenario.reads_theirs() RETURNS bigint LANGUAGE sql
        AS 'SELECT count(*) FROM scenario.models'
"""


async def test_functions_keep_the_rule_of_sql_readme(
    place: Place, migrated_database_url: str, role: str
) -> None:
    """What reads schema syncer for readers has its owner's rights and a fixed search_path."""
    url = migrated_database_url
    shipped = await fetch(url, BEYOND_READERS)
    await place.run("migrate", "--reader-role", role)
    await execute(url, PLANTED)
    found = await fetch(url, BEYOND_READERS)
    async with login(url, quoted(role)) as user:
        await fetch(as_user(url, user), "SELECT scenario.reads_for_readers()")
        await fetch(as_user(url, user), "SELECT scenario.reads_theirs()")
        await fetch(as_user(url, user), "SELECT * FROM scenario.search_models('a model')")
        for name in ("reads_ours", "reads_ours_too"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await fetch(as_user(url, user), f"SELECT scenario.{name}()")

    assert [] == shipped
    assert ["looks_anywhere", "reads_ours", "reads_ours_too"] == [row["proname"] for row in found]


async def test_it_may_be_run_again_and_grants_only_what_is_missing(
    place: Place, migrated_database_url: str, role: str
) -> None:
    first = await place.run("migrate", "--reader-role", role)
    again = await place.run("migrate", "--reader-role", role)
    revoke = f"REVOKE SELECT ON scenario.models FROM {quoted(role)}"  # noqa: S608 - ours
    await execute(migrated_database_url, revoke)
    mended = await place.run("migrate", "--reader-role", role)

    assert first.stdout.count("\nran ") == 5 + ("FUNCTIONS IN SCHEMA" in first.stdout)
    assert f"\nran CREATE ROLE {quoted(role)} NOLOGIN\n" in first.stdout
    assert again.code == 0
    assert "ran " not in again.stdout
    assert f"GRANT {quoted(role)} TO" in again.stdout
    assert re.findall("^ran (.*)$", mended.stdout, re.MULTILINE) == [
        f"GRANT SELECT ON ALL TABLES IN SCHEMA scenario TO {quoted(role)}"
    ]


async def test_a_dry_run_prints_the_statements_and_runs_none(
    place: Place, database_url: str, migrated_database_url: str, role: str
) -> None:
    """On a database that has no schema yet, too."""
    migrated = await place.run("migrate", "--dry-run", "--reader-role", role)
    place.set(database__url=database_url)
    empty = await place.run("migrate", "--dry-run", "--reader-role", role)

    assert migrated.code == empty.code == 0
    assert f"\nwould run CREATE ROLE {quoted(role)} NOLOGIN\n" in migrated.stdout
    assert empty.stdout.count("\nwould run ") == 6
    assert not await is_role(migrated_database_url, role)


async def test_whoever_may_not_create_roles_is_given_the_sql_for_an_administrator(
    bare_place: Place, database_url: str
) -> None:
    """The schema is brought up to date all the same, and what the administrator runs is enough."""
    url, role = database_url, unique_role("syncer_reader")
    async with (
        login(url, f"CREATE ON DATABASE {quoted(url_name(url))}") as owner,
        dropped_afterwards(url, role),
    ):
        bare_place.set(database__url=as_user(url, owner), database__embedded="never")
        refused = await bare_place.run("migrate", "--reader-role", role)
        said = refused.failed_with(2)
        statements = re.findall(r"^    (.*;)$", said, re.MULTILINE)
        assert not await is_role(url, role)
        await execute(url, "".join(statements))
        again = await bare_place.run("migrate", "--reader-role", role)
        left = await grants_left(url, role)

    assert "the schema is up to date" in refused.stdout
    assert "permission denied to create role" in said
    assert statements[0] == f"CREATE ROLE {role} NOLOGIN;"
    assert (again.code, "ran " in again.stdout, left) == (0, False, [])


async def test_a_grant_that_the_server_only_warns_about_is_an_error(
    bare_place: Place, database_url: str
) -> None:
    """The owner of the schema may read somebody else's table in it, but not let others read it."""
    url, role = database_url, unique_role("syncer_reader")
    async with (
        login(url, f"CREATE ON DATABASE {quoted(url_name(url))}") as owner,
        dropped_afterwards(url, role),
    ):
        bare_place.set(database__url=as_user(url, owner), database__embedded="never")
        await bare_place.run("migrate")
        await execute(
            url,
            f"CREATE ROLE {role}; CREATE TABLE scenario.alien ();"
            f"GRANT SELECT ON scenario.alien TO {owner}",
        )
        ended = await bare_place.run("migrate", "--reader-role", role)
        await execute(url, "DROP TABLE scenario.alien")

    assert "may not grant all of it" in ended.failed_with(2)
    assert f"GRANT SELECT ON ALL TABLES IN SCHEMA scenario TO {role};" in ended.stderr


@pytest.mark.parametrize(
    ("grant", "right"),
    [
        ("INSERT ON scenario.models", "INSERT ON scenario.models"),
        ("UPDATE (name) ON scenario.models", "UPDATE ON scenario.models"),
        ("pg_read_server_files", "membership of pg_read_server_files"),
        ("USAGE ON SCHEMA syncer", "USAGE ON SCHEMA syncer"),
        ("pg_read_all_data", "USAGE ON SCHEMA syncer"),
    ],
)
async def test_a_role_that_can_do_more_than_read_is_refused(
    place: Place, migrated_database_url: str, grant: str, right: str
) -> None:
    """Else the promise of the option would be broken for whoever is given the role."""
    async with login(migrated_database_url, grant) as name:
        said = (await place.run("migrate", "--reader-role", name)).failed_with(2)
        left = await grants_left(migrated_database_url, name)

    assert "can do more than read" in said
    assert right in said
    assert len(left) >= 4


@pytest.mark.parametrize("power", ["CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"])
async def test_a_role_with_a_power_over_the_server_is_refused(
    place: Place, migrated_database_url: str, power: str
) -> None:
    async with login(migrated_database_url, attributes=power) as name:
        said = (await place.run("migrate", "--reader-role", name)).failed_with(2)

    assert f"can do more than read: it has {power};" in said


async def test_a_role_that_may_become_another_with_such_a_power_is_refused(
    place: Place, migrated_database_url: str
) -> None:
    """NOINHERIT hides it from every right that is looked up, and SET ROLE has it."""
    async with (
        login(migrated_database_url, attributes="CREATEROLE") as strong,
        login(migrated_database_url, attributes="NOINHERIT") as name,
    ):
        await execute(migrated_database_url, f"GRANT {strong} TO {name}")
        said = (await place.run("migrate", "--reader-role", name)).failed_with(2)

    assert f"membership of {strong}" in said


async def test_a_role_that_the_next_migration_would_let_write_is_refused(
    place: Place, migrated_database_url: str
) -> None:
    async with login(migrated_database_url) as name:
        await execute(
            migrated_database_url,
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA scenario GRANT INSERT ON TABLES TO {name}",
        )
        said = (await place.run("migrate", "--reader-role", name)).failed_with(2)

    assert "INSERT ON later tables" in said


async def test_the_user_who_migrates_is_no_reader(place: Place, migrated_database_url: str) -> None:
    name = await fetch_value(migrated_database_url, "SELECT current_user::text")
    said = (await place.run("migrate", "--reader-role", name)).failed_with(2)

    assert "SUPERUSER" in said


@pytest.mark.parametrize("name", ["", "public", "pg_reader", "none", "x" * 64, "two\nlines"])
async def test_a_name_that_no_role_can_have_is_refused(place: Place, name: str) -> None:
    assert "no role can be called" in (
        await place.run("migrate", "--reader-role", name)
    ).failed_with(2)


def url_name(url: str) -> str:
    """The name of the database."""
    found = re.search(r"/([^/?]+)(\?|$)", url.partition("@")[2])
    assert found
    return found[1]
