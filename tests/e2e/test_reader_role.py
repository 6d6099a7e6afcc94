"""``syncer migrate --reader-role``: a role that can read the mirror, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from support.stored import fetch

if TYPE_CHECKING:
    from support.command import Place
    from support.serving import Serve

READABLE = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'scenario' AND c.relkind IN ('r', 'v', 'm') ORDER BY 1
"""


def as_user(url: str, user: str) -> str:
    """The same database for another user; the test servers trust everybody."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture(name="role")
async def role_fixture(migrated_database_url: str):  # noqa: ANN201 - a name, and its end
    """A role of this test's own, with a mark that has to be quoted; roles belong to no database."""
    name = f'reader "{migrated_database_url.rpartition("syncer_test_")[2][:12]}'
    quoted = '"' + name.replace('"', '""') + '"'
    yield name
    await fetch(migrated_database_url, f"DROP OWNED BY {quoted}")
    await fetch(migrated_database_url, f"DROP ROLE {quoted}")


async def test_it_reads_everything_in_schema_scenario_and_can_do_nothing_else(
    place: Place, serve: Serve, migrated_database_url: str, role: str
) -> None:
    async with serve(models=12):
        await place.run("sync")
    dry = await place.run("migrate", "--dry-run", "--reader-role", role)
    roles = "SELECT count(*) AS n FROM pg_roles WHERE rolname = $1"
    before = (await fetch(migrated_database_url, roles, role))[0]["n"]
    first = await place.run("migrate", "--reader-role", role)
    again = await place.run("migrate", "--reader-role", role)
    quoted = '"' + role.replace('"', '""') + '"'
    # A table of a later migration.
    await fetch(migrated_database_url, "CREATE TABLE scenario.later (n integer)")
    login = f"{role[-12:]}_login"
    await fetch(migrated_database_url, f'CREATE ROLE "{login}" LOGIN IN ROLE {quoted}')
    try:
        reader = await asyncpg.connect(as_user(migrated_database_url, login))
        relations = [row["relname"] for row in await reader.fetch(READABLE)]
        for name in relations:
            await reader.fetch(f'SELECT * FROM scenario."{name}" LIMIT 1')  # noqa: S608
        found = await reader.fetch("SELECT * FROM scenario.search_models('a')")
        then = await reader.fetchval("SELECT count(*) FROM scenario.models_at(now())")
        refusals = []
        for statement in (
            "SELECT * FROM syncer.lease",
            "UPDATE scenario.models SET name = 'x'",
            "DELETE FROM scenario.model_changes",
            "CREATE TABLE scenario.mine (n integer)",
            "INSERT INTO scenario.model_details SELECT * FROM scenario.model_details",
            "SELECT nextval('scenario.model_changes_change_id_seq')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
                await reader.execute(statement)
            refusals.append(refused.value.sqlstate)
        await reader.close()
        place.set(database__url=as_user(migrated_database_url, login))
        changes = await place.run("changes", "--json", "--limit", "3")
    finally:
        await fetch(migrated_database_url, f'DROP ROLE "{login}"')

    assert (dry.code, before) == (0, 0)
    assert "would run CREATE ROLE" in dry.stdout
    assert first.code == again.code == 0, first.stderr + again.stderr
    assert "CREATE ROLE" in first.stdout
    assert "CREATE ROLE" not in again.stdout
    assert {"later", "live_models", "sync_status", "freshness", "model_changes"} <= set(relations)
    assert then == 12
    assert found is not None
    assert refusals == ["42501"] * 6
    assert changes.code == 0, changes.stderr
    assert changes.stdout.count("\n") == 3


async def test_who_may_not_create_roles_is_told_what_to_run(
    place: Place, migrated_database_url: str, role: str
) -> None:
    weak = f"{role[-12:]}_weak"
    await fetch(migrated_database_url, f'CREATE ROLE "{weak}" LOGIN IN ROLE pg_read_all_data')
    await fetch(migrated_database_url, f'GRANT USAGE ON SCHEMA syncer, scenario TO "{weak}"')
    try:
        place.set(database__url=as_user(migrated_database_url, weak))
        ended = await place.run("migrate", "--reader-role", role)
    finally:
        await fetch(migrated_database_url, f'DROP OWNED BY "{weak}"')
        await fetch(migrated_database_url, f'DROP ROLE "{weak}"')
        await fetch(migrated_database_url, 'CREATE ROLE "' + role.replace('"', '""') + '"')

    said = ended.failed_with(2)
    assert "CREATE ROLE" in said
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA scenario" in said


@pytest.mark.parametrize("name", ["", "x" * 64, "pg_mine"])
async def test_names_that_no_role_can_have_are_usage_errors(
    place: Place, migrated_database_url: str, name: str
) -> None:
    await fetch(migrated_database_url, "SELECT 1")
    ended = await place.run("migrate", "--reader-role", name)

    assert ended.code == 2
    assert "Traceback" not in ended.stderr
