"""P4 at its finest: whoever writes is struck before and after every statement it sends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import planted
from support.crashes import crashes_at_every_statement, syncs_that_break
from support.mirror import mirroring
from support.statement_cutter import Where, cutter_before
from support.tcp_proxy import through

from syncer.errors import ExitCode

KINDS = ("query BEGIN", "parse", "execute", "query COPY", "copy data", "copy done", "query COMMIT")
"""What a page's transaction is made of; a sweep that meets none of a kind has missed it."""


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_page_that_breaks_at_any_statement_is_stored_whole_or_not_at_all(
    migrated_database_url: str, where: Where
) -> None:
    """P4: wherever it breaks, rows, quarantine, checkpoint and cycle agree, and it goes on."""
    seen = await crashes_at_every_statement(migrated_database_url, where)

    assert [] == seen.broken
    assert [] == [kind for kind in KINDS if not any(s.startswith(kind) for s in seen.struck)]
    # The outcome is unknown to the caller, not the same as "not committed".
    assert (where == "after") == any(s.startswith("query COMMIT") for s in seen.unnoticed)


@pytest.mark.parametrize(
    "bug",
    [
        planted.checkpoint_commits_first,
        pytest.param(planted.cycle_ends_apart, marks=pytest.mark.long),
    ],
    ids=lambda each: each.__name__,
)
async def test_a_page_in_two_transactions_is_found_out(
    migrated_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    bug: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """P4: the sweep fails when one commit more stands in the middle of a page."""
    bug(monkeypatch)

    seen = await crashes_at_every_statement(migrated_database_url, "before")

    assert [] != seen.broken


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_sync_that_breaks_at_any_statement_goes_on_and_ends_complete(
    migrated_database_url: str, where: Where
) -> None:
    """P4: from the first look at the catalog to the lease's return, no break costs a row."""
    assert [] == await syncs_that_break(migrated_database_url, where)


async def test_a_connection_lost_while_the_quarantine_is_counted_is_an_outage_not_a_success(
    migrated_database_url: str,
) -> None:
    """P8: how a command ended cannot be said without the count; it is 7, not 0 and not a bug."""
    async with (
        mirroring(migrated_database_url) as mirror,
        cutter_before(migrated_database_url) as cutter,
    ):
        cutter.arm(1, begin="execute /* syncer count_open")
        done = await mirror.sync(database__url=through(cutter, migrated_database_url))

    assert ExitCode.UNAVAILABLE == done.exit_code
