"""Unit tests of the SQL loader, and of the SQL files themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncer.errors import SyncerError
from syncer.store.queries import load_migrations, load_queries

ROOT = Path(__file__).resolve().parents[2]
QUERY_FILES = sorted((ROOT / "sql" / "queries").glob("*.sql"))
MIGRATION_FILES = sorted((ROOT / "sql" / "migrations").glob("*.sql"))


@pytest.fixture(name="sql")
def sql_directory(tmp_path: Path) -> Path:
    (tmp_path / "queries").mkdir()
    (tmp_path / "migrations").mkdir()
    return tmp_path


def split_header(text: str) -> tuple[str, str]:
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def test_a_query_is_found_by_the_name_of_its_file(sql: Path) -> None:
    (sql / "queries" / "read_one.sql").write_text("-- Why.\n\nSELECT 1;\n")

    assert load_queries(sql)["read_one"] == "/* syncer read_one */ SELECT 1"


def test_only_the_leading_comment_is_cut_off_a_query(sql: Path) -> None:
    """Two dashes may open a line inside a string, where they are no comment."""
    (sql / "queries" / "read_one.sql").write_text(
        "-- Why.\nSELECT '\n-- a' AS x\n-- end\nFROM y;\n"
    )

    assert load_queries(sql)["read_one"].endswith("SELECT '\n-- a' AS x\n-- end\nFROM y")


def test_a_missing_query_names_the_file_it_would_be_in(sql: Path) -> None:
    (sql / "queries" / "read_one.sql").write_text("SELECT 1")
    queries = load_queries(sql)

    with pytest.raises(SyncerError, match=r"no query named read_two \(sql/queries/read_two\.sql\)"):
        queries["read_two"]


def test_requiring_a_missing_query_fails_before_it_is_used(sql: Path) -> None:
    (sql / "queries" / "read_one.sql").write_text("SELECT 1")
    queries = load_queries(sql)

    with pytest.raises(SyncerError, match="no query named read_two"):
        queries.require("read_one", "read_two")


@pytest.mark.parametrize("name", ["read.sql", "Read_one.sql", "read-one.sql", "0001_read_one.sql"])
def test_a_query_file_that_is_not_verb_noun_fails_the_start(sql: Path, name: str) -> None:
    (sql / "queries" / name).write_text("SELECT 1")

    with pytest.raises(SyncerError, match="is not named verb_noun"):
        load_queries(sql)


def test_a_query_file_without_a_statement_fails_the_start(sql: Path) -> None:
    (sql / "queries" / "read_one.sql").write_text("-- Only a comment.\n")

    with pytest.raises(SyncerError, match="holds no statement"):
        load_queries(sql)


def test_an_installation_without_sql_fails_the_start(sql: Path) -> None:
    with pytest.raises(SyncerError, match=r"no SQL files in .*queries.*install syncer again"):
        load_queries(sql)


def test_migrations_come_in_the_order_of_their_numbers(sql: Path) -> None:
    (sql / "migrations" / "0002_create_b.sql").write_text("SELECT 2;")
    (sql / "migrations" / "0001_create_a.sql").write_text("SELECT 1;")

    assert [each.label for each in load_migrations(sql)] == ["0001_create_a", "0002_create_b"]


def test_a_gap_in_the_numbers_fails_the_start(sql: Path) -> None:
    (sql / "migrations" / "0001_create_a.sql").write_text("SELECT 1;")
    (sql / "migrations" / "0003_create_c.sql").write_text("SELECT 3;")

    with pytest.raises(SyncerError, match=r"0003 \(0003_create_c\.sql\) is preceded by a gap"):
        load_migrations(sql)


def test_a_number_used_twice_fails_the_start(sql: Path) -> None:
    (sql / "migrations" / "0001_create_a.sql").write_text("SELECT 1;")
    (sql / "migrations" / "0001_create_b.sql").write_text("SELECT 1;")

    with pytest.raises(SyncerError, match=r"0001 \(0001_create_b\.sql\) is used twice"):
        load_migrations(sql)


@pytest.mark.parametrize("name", ["1_create_a.sql", "00001_create_a.sql", "0001_create.sql"])
def test_a_badly_named_migration_fails_the_start(sql: Path, name: str) -> None:
    (sql / "migrations" / name).write_text("SELECT 1;")

    with pytest.raises(SyncerError, match="is not named NNNN_verb_noun"):
        load_migrations(sql)


def test_the_checksum_does_not_depend_on_the_line_ends_of_the_checkout(sql: Path) -> None:
    file = sql / "migrations" / "0001_create_a.sql"
    file.write_bytes(b"SELECT\n1;\n")
    (unix,) = load_migrations(sql)
    file.write_bytes(b"SELECT\r\n1;\r\n")
    (windows,) = load_migrations(sql)
    file.write_bytes(b"SELECT\n2;\n")
    (changed,) = load_migrations(sql)

    assert windows.checksum == unix.checksum
    assert changed.checksum != unix.checksum


def test_the_header_of_a_migration_says_how_it_is_to_run(sql: Path) -> None:
    folder = sql / "migrations"
    (folder / "0001_create_a.sql").write_text("-- Why.\nSELECT 1;\n-- no-transaction\n")
    (folder / "0002_create_b.sql").write_text("-- no-transaction\n-- Why.\nSELECT 2;")
    (folder / "0003_drop_c.sql").write_text("-- Why.\n-- oldest-compatible: 0002\nSELECT 3;")

    loaded = load_migrations(sql)

    assert [each.transactional for each in loaded] == [True, False, True]
    assert [each.oldest_compatible for each in loaded] == [None, None, 2]


def test_a_contract_step_cannot_ask_for_a_build_newer_than_itself(sql: Path) -> None:
    (sql / "migrations" / "0001_drop_a.sql").write_text("-- oldest-compatible: 0002\nSELECT 1;")

    with pytest.raises(SyncerError, match="0002, which is not between 0001 and 0001"):
        load_migrations(sql)


# --- the shipped files ---------------------------------------------------------------------------


def test_the_shipped_files_load() -> None:
    assert len(QUERY_FILES) == len(load_queries())
    assert len(MIGRATION_FILES) == len(load_migrations())


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: file.stem)
def test_the_header_of_a_query_names_each_of_its_arguments(file: Path) -> None:
    header, body = split_header(file.read_text())

    assert header, "a query begins with a comment that says what it is for"
    assert set(re.findall(r"\$[0-9]+", body)) <= set(re.findall(r"\$[0-9]+", header))


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: file.stem)
def test_every_query_is_used_by_the_program(file: Path) -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "syncer").rglob("*.py"))

    assert f'"{file.stem}"' in sources


def test_every_query_the_program_names_exists() -> None:
    named = {
        name
        for path in (ROOT / "syncer").rglob("*.py")
        for name in re.findall(r'queries\["([a-z0-9_]+)"\]', path.read_text())
    }

    assert "fence_lease" in named
    assert named <= {file.stem for file in QUERY_FILES}


@pytest.mark.parametrize("file", MIGRATION_FILES, ids=lambda file: file.stem)
def test_a_migration_destroys_nothing_and_leaves_the_transaction_to_the_migrator(
    file: Path,
) -> None:
    _, body = split_header(file.read_text())
    code = re.sub(r"--.*", "", body)

    assert not re.findall(
        r"(?im)\b(drop\s+(?:table|schema|column|database|view)|truncate|delete\s+from)\b"
        r"|^\s*(begin|commit|rollback)\s*;",
        code,
    )


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: file.stem)
def test_a_query_sets_nothing_that_outlives_its_transaction(file: Path) -> None:
    """The pool undoes nothing on release. A migration has a connection of its own."""
    code = re.sub(r"--.*", "", file.read_text())
    outlives = re.findall(r"(?im)^\s*SET\s+(?!LOCAL).*;|set_config\([^)]*,\s*false\)", code)
    locks = re.findall(r"pg_(?:try_)?advisory_lock(?:_shared)?\b", code)

    assert not outlives or file.stem == "restore_settings"
    # Held by connections that are not the pool's: the lease's, the budget's, the migration's.
    assert not locks or file.stem in {"lock_migration", "mark_leases", "read_budget"}
