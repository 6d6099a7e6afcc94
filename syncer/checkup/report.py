"""
What ``syncer check`` found, as values and as the document of ``--json``.

Owns the shape of the document and which exit code many problems make.
Invariant: no text leaves here unredacted, and ``ok`` is true exactly when the exit code is 0.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncer.api.normalise import redact_text
from syncer.config import ConfigValue
from syncer.errors import EXIT_PRECEDENCE, ConfigError, ExitCode, SyncerError
from syncer.planner.finding import Finding


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """The database as a check found it."""

    kind: str
    """``url`` or ``embedded``."""
    where: str
    """The address without its password, or the data directory."""
    schema: str
    """``absent`` (no database yet), ``unreachable``, ``empty``, ``pending``, ``current``, ``ahead``
    or ``mismatched``."""
    note: str = ""
    """One sentence for people."""
    server_version: str | None = None
    has_lz4: bool | None = None
    applied: int | None = None
    """Number of the last migration in the database."""
    needed: int | None = None
    """Number of the last migration of this build."""
    missing_rights: tuple[str, ...] = ()
    problems: tuple[SyncerError, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogAnswer:
    """What became of a catalog's one question."""

    name: str
    outcome: str
    """``listed``, ``empty``, ``failed`` or ``not asked``."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The source as a check found it."""

    base_url: str
    requests: int
    catalogs: tuple[CatalogAnswer, ...]
    findings: tuple[Finding, ...]
    problems: tuple[SyncerError, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything a check found."""

    configuration: tuple[ConfigValue, ...]
    """Empty when the configuration cannot be read."""
    config_file: str | None
    credentials: str | None
    """How they were found; ``None`` when they cannot be used."""
    database: DatabaseReport | None
    """``None``: not tried."""
    source: SourceReport | None
    """``None``: not tried."""
    problems: tuple[SyncerError, ...]
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0, or the first code of the order of precedence that a problem has."""
        codes = {problem.exit_code for problem in self.problems}
        return next((code for code in EXIT_PRECEDENCE if code in codes), ExitCode.OK)

    def to_json(self) -> dict[str, Any]:
        """The document of ``syncer check --json``."""
        return {
            "ok": not self.problems,
            "problems": [_problem_json(problem) for problem in self.problems],
            "warnings": [redact_text(warning) for warning in self.warnings],
            "configuration": [value.to_json() for value in self.configuration],
            "credentials": self.credentials,
            "database": None if self.database is None else _database_json(self.database),
            "source": None if self.source is None else _source_json(self.source),
        }


def split_errors(errors: Iterable[SyncerError]) -> tuple[SyncerError, ...]:
    """One error per problem: a configuration error may carry several."""
    return tuple(single for error in errors for single in _split(error))


def _split(error: SyncerError) -> Iterator[SyncerError]:
    texts, remedies = error.context.get("problems"), error.context.get("remedies")
    if not isinstance(texts, Sequence) or not isinstance(remedies, Sequence):
        yield error
        return
    for text, remedy in zip(texts, remedies, strict=True):
        yield ConfigError(str(text).removesuffix(f". {remedy}"), hint=str(remedy))


def _problem_json(problem: SyncerError) -> dict[str, Any]:
    return {
        "what": redact_text(problem.message),
        "remedy": redact_text(problem.hint),
        "exit_code": int(problem.exit_code),
    }


def _database_json(report: DatabaseReport) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "where": report.where,
        "reachable": report.server_version is not None,
        "server_version": report.server_version,
        "lz4": report.has_lz4,
        "schema": {"state": report.schema, "applied": report.applied, "needed": report.needed},
        "missing_rights": list(report.missing_rights),
        "note": redact_text(report.note),
    }


def _source_json(report: SourceReport) -> dict[str, Any]:
    return {
        "base_url": report.base_url,
        "requests": report.requests,
        "catalogs": {answer.name: answer.outcome for answer in report.catalogs},
        "findings": {
            finding.key: {"value": finding.value, "meaning": redact_text(finding.meaning)}
            for finding in report.findings
        },
    }
