"""
Try out what a configuration names, before anything is mirrored.

Owns the order: the database first, because it remembers what earlier checks found; then the
source; then what changed since. Writes nothing but these findings.
Invariant: what is wrong is in the report; one broken half does not hide the other.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

from syncer.checkup.database import look_at_database
from syncer.checkup.report import (
    CheckReport,
    DatabaseReport,
    SourceReport,
    split_errors,
)
from syncer.checkup.source import look_at_source
from syncer.config import Credentials, Settings
from syncer.domain import Clock
from syncer.errors import SyncerError
from syncer.planner.finding import Finding, drift_warning
from syncer.store.findings import read_findings, save_findings
from syncer.store.pool import Connection
from syncer.store.queries import Queries, load_queries

__all__ = ["CheckReport", "DatabaseReport", "SourceReport", "split_errors", "try_out"]


async def try_out(
    settings: Settings, credentials: Credentials, *, clock: Clock, rng: random.Random
) -> tuple[DatabaseReport, SourceReport]:
    """Look at the database and the source, and compare with what earlier checks found.

    Cancel-safe: yes; the findings are kept in one statement or not at all.
    """
    queries = load_queries()
    async with contextlib.AsyncExitStack() as stack:
        found = await look_at_database(stack, settings, queries, clock=clock)
        source = await look_at_source(settings, credentials, clock=clock, rng=rng)
        database = found.report
        if found.connection is not None and source.findings:
            try:
                drift = await _remember(found.connection, queries, source)
            except SyncerError as error:
                database = replace(database, problems=(*database.problems, error))
            else:
                source = replace(source, warnings=(*source.warnings, *drift))
        return database, source


async def _remember(
    connection: Connection, queries: Queries, source: SourceReport
) -> tuple[str, ...]:
    """Keep the findings; returns what differs from the earlier ones."""
    known = await read_findings(connection, queries, source.base_url)
    warnings = [
        drift_warning(finding, known[finding.key].value, known[finding.key].first_found_at)
        for finding in source.findings
        if finding.key in known
    ]
    await save_findings(connection, queries, source.base_url, _values(source.findings))
    return tuple(warning for warning in warnings if warning)


def _values(findings: tuple[Finding, ...]) -> dict[str, str | int | tuple[str, ...]]:
    """What was not found out leaves the earlier value as it is."""
    return {finding.key: finding.value for finding in findings if finding.value is not None}
