"""
Load the SQL files: queries by name, migrations by number.

Owns the reading of ``sql/``, in the wheel or in the source tree. Never builds SQL and never talks
to a database.
Invariant: what is loaded is complete and well named, else nothing is loaded and the start fails.
Kind: edge (files).
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.errors import SyncerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

_QUERY_FILE = re.compile(r"(?P<name>[a-z]+(?:_[a-z0-9]+)+)\.sql")
_MIGRATION_FILE = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z]+(?:_[a-z0-9]+)+)\.sql")
_OLDEST_COMPATIBLE = re.compile(r"-- oldest-compatible: (?P<number>[0-9]{4})")
_NO_TRANSACTION = "-- no-transaction"

_REINSTALL = "The installation is incomplete or damaged; install syncer again."


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One step of the schema, as shipped."""

    number: int
    name: str
    """The file's name after the number, without ``.sql``."""
    sql: str
    checksum: str
    """Hexadecimal SHA-256 of the text; line ends count as LF, so a checkout on Windows agrees."""
    transactional: bool = True
    """False: one statement that cannot run in a transaction."""
    oldest_compatible: int | None = None
    """A contract step: builds that know less than this number cannot work after it."""

    @property
    def label(self) -> str:
        """How people call it: ``0002_create_lease``."""
        return f"{self.number:04d}_{self.name}"


class Queries:
    """The named statements; ``queries["read_leases"]`` is its SQL.

    Whoever keeps it calls ``require`` when it is built, so that a missing file fails at start and
    not in the night it is first needed.
    """

    def __init__(self, statements: Mapping[str, str]) -> None:
        self._statements = dict(statements)

    def __getitem__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise SyncerError(
                f"there is no query named {name} (sql/queries/{name}.sql)", hint=_REINSTALL
            ) from None

    def require(self, *names: str) -> None:
        """Fail now if one of the names is missing."""
        for name in names:
            self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def load_queries(root: Traversable | None = None) -> Queries:
    """All statements under ``sql/queries``; the shipped ones are read once a process.

    Args:
        root: another ``sql`` directory than the shipped one.

    Raises:
        SyncerError: no files, a name that is not ``verb_noun.sql``, or an empty statement.
    """
    return _shipped_queries() if root is None else _read_queries(root)


@functools.cache
def _shipped_queries() -> Queries:
    return _read_queries(None)


def _read_queries(root: Traversable | None) -> Queries:
    statements: dict[str, str] = {}
    for file in _sql_files(root, "queries"):
        match = _QUERY_FILE.fullmatch(file.name)
        if match is None:
            raise SyncerError(f"{file.name} in sql/queries is not named verb_noun.sql")
        name = match["name"]
        statement = _strip_header(file.read_text(encoding="utf-8"))
        if not statement:
            raise SyncerError(f"sql/queries/{file.name} holds no statement", hint=_REINSTALL)
        # The name comes first so that pg_stat_activity, which cuts long texts, says who asks.
        statements[name] = f"/* syncer {name} */ {statement}"
    return Queries(statements)


def load_migrations(root: Traversable | None = None) -> tuple[MigrationFile, ...]:
    """All migrations under ``sql/migrations``, in order; the shipped ones are read once a process.

    An upgrade that replaces the files below a running process is the next one's business.

    Args:
        root: another ``sql`` directory than the shipped one.

    Raises:
        SyncerError: no files, a bad name, a number twice or left out, or a senseless header.
    """
    return _shipped_migrations() if root is None else _read_migrations(root)


@functools.cache
def _shipped_migrations() -> tuple[MigrationFile, ...]:
    return _read_migrations(None)


def _read_migrations(root: Traversable | None) -> tuple[MigrationFile, ...]:
    files = sorted(
        (_read_migration(file) for file in _sql_files(root, "migrations")),
        key=lambda migration: migration.label,
    )
    for expected, migration in enumerate(files, start=1):
        if migration.number != expected:
            problem = "used twice" if migration.number < expected else "preceded by a gap"
            raise SyncerError(
                f"migration number {migration.number:04d} ({migration.label}.sql) is {problem}",
                hint=_REINSTALL,
            )
    return tuple(files)


def _read_migration(file: Traversable) -> MigrationFile:
    match = _MIGRATION_FILE.fullmatch(file.name)
    if match is None:
        raise SyncerError(f"{file.name} in sql/migrations is not named NNNN_verb_noun.sql")
    number = int(match["number"])
    sql = file.read_text(encoding="utf-8").replace("\r\n", "\n")
    oldest_compatible = _read_oldest_compatible(sql)
    if oldest_compatible is not None and not 1 <= oldest_compatible <= number:
        raise SyncerError(
            f"{file.name} says oldest-compatible: {oldest_compatible:04d}, "
            f"which is not between 0001 and {number:04d}"
        )
    return MigrationFile(
        number=number,
        name=match["name"],
        sql=sql,
        checksum=hashlib.sha256(sql.encode()).hexdigest(),
        transactional=sql.split("\n", 1)[0].rstrip() != _NO_TRANSACTION,
        oldest_compatible=oldest_compatible,
    )


def _read_oldest_compatible(sql: str) -> int | None:
    for line in sql.split("\n"):
        if not line.startswith("--"):
            return None
        if match := _OLDEST_COMPATIBLE.fullmatch(line.rstrip()):
            return int(match["number"])
    return None


def _strip_header(text: str) -> str:
    """The statement alone; only the leading comment goes, as ``--`` may stand inside a string."""
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        del lines[0]
    return "\n".join(lines).strip().removesuffix(";").rstrip()


def _sql_files(root: Traversable | None, directory: str) -> list[Traversable]:
    folder = (root or _shipped_root()).joinpath(directory)
    files = (
        sorted(
            (file for file in folder.iterdir() if file.name.endswith(".sql")),
            key=lambda file: file.name,
        )
        if folder.is_dir()
        else []
    )
    if not files:
        raise SyncerError(f"there are no SQL files in {folder}", hint=_REINSTALL)
    return files


def _shipped_root() -> Traversable:
    """``sql`` as the wheel carries it, else as it stands in the source tree beside the package."""
    in_wheel = resources.files("syncer").joinpath("_sql")
    if in_wheel.joinpath("queries").is_dir():
        return in_wheel
    return Path(__file__).resolve().parents[2] / "sql"
