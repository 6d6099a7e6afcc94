"""The migrator against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from syncer.errors import ConfigError, SchemaMismatch, StoreUnavailable
from syncer.store import migrate as migrator
from syncer.store.migrate import migrate, read_state, require_current
from syncer.store.queries import MigrationFile, load_migrations, load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def step(number: int, sql: str, **options: Any) -> MigrationFile:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    return MigrationFile(number, f"create_t{number}", sql, checksum, **options)


ONE = step(1, "CREATE SCHEMA syncer; CREATE TABLE syncer.t1 (a integer);")
TWO = step(2, "CREATE TABLE syncer.t2 (a integer);")
THREE = step(3, "CREATE TABLE syncer.t3 (a integer);")


@pytest.fixture(name="connection")
async def open_connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def tables(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    rows = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'syncer' ORDER BY tablename"
    )
    return [row["tablename"] for row in rows]


async def never(delay_s: float) -> None:
    pytest.fail(f"waited {delay_s} s although nobody else migrates")


async def test_the_shipped_migrations_apply_to_an_empty_database_once(connection: Any) -> None:
    applied = await migrate(connection, sleep=never)
    again = await migrate(connection, sleep=never)

    assert applied == load_migrations()
    assert again == ()


async def test_every_shipped_query_fits_the_migrated_schema(connection: Any) -> None:
    await migrate(connection)
    queries = load_queries()
    await connection.execute("SET search_path = scenario, syncer")

    for name in queries:
        try:
            await connection.prepare(queries[name])
        except asyncpg.PostgresError as error:
            pytest.fail(f"sql/queries/{name}.sql: {error}")


async def test_everything_in_the_shipped_schema_is_commented(connection: Any) -> None:
    """An operator who looks at a table with \\d+ is told what it is for."""
    await migrate(connection)

    uncommented = await connection.fetch(
        """
        SELECT c.oid::regclass::text AS name
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('scenario', 'syncer') AND c.relkind IN ('r', 'v', 'm', 'p')
            AND obj_description(c.oid, 'pg_class') IS NULL
        """
    )

    assert [row["name"] for row in uncommented] == []


async def test_asking_for_the_state_of_an_empty_database_writes_nothing(connection: Any) -> None:
    async with connection.transaction(readonly=True):
        state = await read_state(connection, migrations=(ONE, TWO))

    assert state.applied == ()
    assert state.pending == (ONE, TWO)
    assert not state.ahead
    assert await connection.fetchval("SELECT to_regnamespace('syncer')") is None


async def test_only_the_missing_steps_are_applied(connection: Any) -> None:
    await migrate(connection, migrations=(ONE,))

    applied = await migrate(connection, migrations=(ONE, TWO, THREE))

    assert applied == (TWO, THREE)
    assert (await read_state(connection, migrations=(ONE, TWO, THREE))).applied == (1, 2, 3)
    assert await tables(connection) == ["migration", "t1", "t2", "t3"]


async def test_a_step_that_fails_leaves_the_steps_before_it_and_nothing_of_itself(
    connection: Any,
) -> None:
    broken = step(2, "CREATE TABLE syncer.t2 (a integer); CREATE TABLE syncer.t1 (a integer);")

    with pytest.raises(SchemaMismatch, match=r"migration 0002_create_t2 was not applied: .*t1"):
        await migrate(connection, migrations=(ONE, broken))

    assert await tables(connection) == ["migration", "t1"]
    assert (await read_state(connection, migrations=(ONE, TWO))).pending == (TWO,)
    assert await migrate(connection, migrations=(ONE, TWO), sleep=never) == (TWO,)


async def test_a_bug_in_a_step_is_not_taken_for_a_state_of_the_database(connection: Any) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate(connection, migrations=(step(1, "CREATE TABEL x ();"),))


async def test_a_file_changed_after_it_was_applied_is_refused(connection: Any) -> None:
    await migrate(connection, migrations=(ONE,))
    changed = step(1, ONE.sql + " -- changed")

    with pytest.raises(SchemaMismatch, match="0001_create_t1 is not the one that was applied"):
        await migrate(connection, migrations=(changed, TWO))

    assert await tables(connection) == ["migration", "t1"]


async def test_a_database_ahead_is_used_as_long_as_it_says_it_fits(connection: Any) -> None:
    """Expand: the next build added a table, this one goes on running."""
    await migrate(connection, migrations=(ONE, TWO))

    state = await read_state(connection, migrations=(ONE,))

    assert state.ahead
    assert state.pending == ()
    await require_current(connection, "manual", migrations=(ONE,))
    assert await migrate(connection, migrations=(ONE,), sleep=never) == ()


async def test_a_database_contracted_past_this_build_is_refused(connection: Any) -> None:
    contract = step(3, THREE.sql, oldest_compatible=2)
    await migrate(connection, migrations=(ONE, TWO, contract))

    assert (await read_state(connection, migrations=(ONE, TWO))).ahead
    with pytest.raises(SchemaMismatch, match=r"older than 0002 .* this build knows 0001.*Install"):
        await read_state(connection, migrations=(ONE,))


async def test_an_expand_step_after_a_contract_step_does_not_lower_the_bar(connection: Any) -> None:
    contract = step(2, TWO.sql, oldest_compatible=2)
    await migrate(connection, migrations=(ONE, contract))
    await migrate(connection, migrations=(ONE, contract, THREE))

    assert (await read_state(connection, migrations=(ONE, contract))).oldest_compatible == 2
    with pytest.raises(SchemaMismatch, match="older than 0002"):
        await read_state(connection, migrations=(ONE,))


async def test_a_row_missing_from_the_bookkeeping_is_refused(connection: Any) -> None:
    await migrate(connection, migrations=(ONE, TWO))
    await connection.execute("DELETE FROM syncer.migration WHERE number = 1")

    with pytest.raises(SchemaMismatch, match="names 0002 as applied but not 0001"):
        await migrate(connection, migrations=(ONE, TWO))


async def test_a_server_that_is_too_old_is_named(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "OLDEST_SERVER", 99)

    with pytest.raises(SchemaMismatch, match=r"the server is PostgreSQL \d+, syncer needs 99"):
        await read_state(connection, migrations=(ONE,))


async def test_objects_that_are_not_ours_are_never_replaced(connection: Any) -> None:
    await connection.execute("CREATE SCHEMA syncer; CREATE TABLE syncer.t2 (theirs integer)")

    with pytest.raises(SchemaMismatch, match=r"already holds something.*empty database"):
        await migrate(connection, migrations=(step(1, "SELECT 1;"), TWO))

    assert await connection.fetchval("SELECT count(theirs) FROM syncer.t2") == 0


async def test_a_user_without_rights_on_the_database_can_migrate_prepared_schemas(
    connection: Any,
) -> None:
    """Managed databases: an administrator creates the schemas, syncer owns only them."""
    await connection.execute("CREATE SCHEMA syncer")
    role = f"limited_{connection.get_server_pid()}"
    await connection.execute(f"CREATE ROLE {role}; ALTER SCHEMA syncer OWNER TO {role}")
    await connection.execute(f"SET ROLE {role}")
    try:
        applied = await migrate(connection, migrations=(step(1, TWO.sql),))
    finally:
        await connection.execute(f"RESET ROLE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}")

    assert len(applied) == 1


async def test_concurrent_processes_apply_each_step_once(database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    waiting = asyncio.Event()

    async def wait_for_the_other(_delay_s: float) -> None:
        waiting.set()
        await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(migrate(each, migrations=(ONE, TWO, THREE), sleep=wait_for_the_other))
            for each in connections
        ]

    applied = [task.result() for task in tasks]
    assert sorted(len(each) for each in applied) == [0, 0, 0, 3]
    assert waiting.is_set()
    for each in connections:
        await each.close()


async def test_waiting_for_another_migrator_ends_with_a_word(
    connection: Any, database_url: str
) -> None:
    other = await asyncpg.connect(database_url)
    assert await other.fetchval(load_queries()["lock_migration"])
    waits = SimpleNamespace(total_s=0.0)

    async def count(delay_s: float) -> None:
        waits.total_s += delay_s

    with pytest.raises(StoreUnavailable, match="another process has been migrating"):
        await migrate(connection, migrations=(ONE,), sleep=count)

    assert waits.total_s == 120
    assert await tables(connection) == []
    await other.close()


async def test_the_lock_is_given_back_after_success_and_after_failure(
    connection: Any, database_url: str
) -> None:
    await migrate(connection, migrations=(ONE,))
    with pytest.raises(SchemaMismatch):
        await migrate(connection, migrations=(ONE, step(2, ONE.sql)))

    other = await asyncpg.connect(database_url)
    assert await other.fetchval(load_queries()["lock_migration"])
    await other.close()


async def test_a_step_outside_a_transaction_runs_under_limits_and_leaves_none_behind(
    connection: Any,
) -> None:
    await connection.execute("SET lock_timeout = 0")
    index = step(
        2, "CREATE INDEX CONCURRENTLY IF NOT EXISTS t1_a ON syncer.t1 (a)", transactional=False
    )

    await migrate(connection, migrations=(ONE, index))

    assert await connection.fetchval("SELECT to_regclass('syncer.t1_a') IS NOT NULL")
    assert (await read_state(connection, migrations=(ONE, index))).applied == (1, 2)
    assert await connection.fetchval("SHOW lock_timeout") == "0"
    assert await connection.fetchval("SHOW search_path") == '"$user", public'


async def test_a_step_never_waits_for_a_lock_without_limit(
    connection: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits, every later query on the table waits behind it."""
    monkeypatch.setattr(migrator, "_LOCK_TIMEOUT_MS", "20")
    await migrate(connection, migrations=(ONE,))
    reader = await asyncpg.connect(database_url)

    async with reader.transaction():
        await reader.execute("SELECT FROM syncer.t1")
        with pytest.raises(StoreUnavailable, match="0002_create_t2 was not applied: a lock"):
            await migrate(
                connection, migrations=(ONE, step(2, "ALTER TABLE syncer.t1 ADD COLUMN b integer"))
            )

    await reader.close()


async def test_a_step_is_not_disturbed_by_the_search_path_of_its_role(connection: Any) -> None:
    await connection.execute("CREATE SCHEMA trap; SET search_path = trap")

    with pytest.raises(ConfigError, match=r"0002_create_t2 was not applied: .*pg_catalog"):
        await migrate(connection, migrations=(ONE, step(2, "CREATE TABLE unqualified (a integer)")))

    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname='trap'") == 0


async def test_manual_mode_refuses_a_database_that_is_behind_and_changes_nothing(
    connection: Any,
) -> None:
    with pytest.raises(SchemaMismatch, match=r"is empty, this build needs 0001"):
        await require_current(connection, "manual", migrations=(ONE,))
    await migrate(connection, migrations=(ONE,))
    with pytest.raises(SchemaMismatch, match=r"at migration 0001, this build needs 0003.*\(2\)"):
        await require_current(connection, "manual", migrations=(ONE, TWO, THREE))

    assert await tables(connection) == ["migration", "t1"]


async def test_auto_mode_brings_the_schema_up_to_date(connection: Any) -> None:
    await require_current(connection, "auto", migrations=(ONE, TWO))

    assert await tables(connection) == ["migration", "t1", "t2"]
    await require_current(connection, "manual", migrations=(ONE, TWO))
