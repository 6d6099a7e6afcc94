"""
What runs with each page, poll or probe costs what it asks for, not what the tables hold.

Each query of sql/queries stands here: hot with its plan, or cold with its reason. The plans are
those of the sessions that the program opens, over tables that were analysed and, as in a first
backfill, over tables that never were.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from support import postgres
from support.plans import CYCLE, PAGE, explain, fill

from syncer.store.pool import Connection, open_connection
from syncer.store.queries import load_queries

CATALOG = "public"
AT = "2025-03-01Z"
BY_KEY = {"models_pkey": "id"}
PAGE_OF, ROWS, HASHES, TIMES, TEXTS = "page", "rows", "hashes", "times", "texts"
OPERATIONS, NOTHINGS = "operations", "nothings"
"""What a page of the mirror holds, as arguments."""

FEW = "broken models are few"

ROW_A_CATALOG = frozenset({"catalog", "lease"})
"""Tables with one row for each configured catalog: reading them whole is right."""


@dataclass(frozen=True, slots=True)
class Hot:
    """What a query that runs often may do."""

    arguments: Sequence[str | None] = ()
    enters: Mapping[str, str] = field(default_factory=dict)
    """Index → the column that it must be entered by."""
    reads_whole: str = ""
    """A table that it may read from end to end …"""
    because: str = ""
    """… and why."""


HOT: Mapping[str, Hot] = {
    # with each page
    "fence_lease": Hot([CATALOG, "1"]),
    "recognise_models": Hot([CATALOG, PAGE_OF, TEXTS], BY_KEY),
    "choose_models": Hot([CATALOG, PAGE_OF, HASHES, TIMES], BY_KEY),
    "lock_models": Hot([CATALOG, PAGE_OF], BY_KEY),
    "lock_contents": Hot([CATALOG, PAGE_OF], BY_KEY),
    "lock_changes": Hot(),
    "insert_changes": Hot(
        [CATALOG, PAGE_OF, OPERATIONS, NOTHINGS, NOTHINGS, TIMES], {"model_changes_pkey": ""}
    ),
    "insert_removals": Hot(
        [CATALOG], {"models_removed_at_idx": "removed_at", "model_changes_pkey": ""}
    ),
    "update_models": Hot([ROWS, CATALOG], BY_KEY),
    "clear_quarantine": Hot([CATALOG, PAGE_OF, "1"], reads_whole="quarantine", because=FEW),
    "upsert_quarantine": Hot([CATALOG, "k", "r", "raw", "hash", "1"]),
    "insert_seen": Hot([CYCLE, PAGE_OF, "{}", "f", None, None]),
    "move_checkpoint": Hot(
        [CYCLE, "part 1", "1", "walking", AT, AT, None, None, "0", "0", AT, "1", "1"],
        {"checkpoint_pkey": "partition"},
    ),
    "insert_checkpoint": Hot([CYCLE, "new", "pending", "createdAt", None, None, "f", AT, AT]),
    "read_checkpoint_seq": Hot([CYCLE, "part 1"], {"checkpoint_pkey": "partition"}),
    "read_cycle_finished": Hot([CYCLE], {"cycle_pkey": "cycle_id"}),
    "lock_cycle": Hot([CYCLE], {"cycle_pkey": "cycle_id"}),
    "lock_catalog": Hot([CATALOG]),
    "finish_cycle": Hot([CYCLE], {"checkpoint_pkey": "cycle_id"}),
    # with each poll
    "read_catalog": Hot([CATALOG, "{}"]),
    "read_open_cycle": Hot([CATALOG, "sweep"], {"cycle_unfinished_idx": "catalog"}),
    "read_newest": Hot([CATALOG], {"models_created_at_idx": "catalog"}),
    "count_live": Hot(
        [CATALOG, "501"], reads_whole="models", because="it stops at its limit, a page and one"
    ),
    "compare_listing": Hot(
        [CATALOG, PAGE_OF, PAGE_OF, TIMES],
        BY_KEY,
        reads_whole="models, quarantine",
        because="it is asked only where the whole listing fits one page",
    ),
    "list_live": Hot([CATALOG, PAGE_OF], BY_KEY),
    "list_set_aside": Hot([CATALOG, PAGE_OF], reads_whole="quarantine", because=FEW),
    "remove_deleted": Hot([CATALOG, PAGE_OF, "1"], BY_KEY),
    "record_poll": Hot([CATALOG, "delta", "s", "r", AT, AT]),
    "open_cycle": Hot([CATALOG, "delta", "s", "r", AT, AT, None]),
    "finish_catalog_cycle": Hot([CATALOG, AT, AT, AT, "delta", AT, "t", "f"]),
    "drop_old_cycles": Hot([CATALOG]),
    "has_orders": Hot([CATALOG, "1"], {"catalog_order_open_idx": "catalog"}),
    "take_orders": Hot([CATALOG, "1"], {"catalog_order_open_idx": "catalog"}),
    "renew_leases": Hot([f"{{{CATALOG}}}", "{1}", "30 s"]),
    # with each status, which monitors ask for
    "read_status": Hot(
        reads_whole="models, quarantine",
        because="it counts live, removed and quarantined models of each catalog",
    ),
    "read_partitions": Hot(
        [], reads_whole="checkpoint, cycle", because="both are pruned at the end of each cycle"
    ),
    "read_checkpoints": Hot([CYCLE], {"checkpoint_pkey": "cycle_id"}),
    "count_open": Hot([f"{{{CATALOG}}}"], reads_whole="quarantine", because=FEW),
    "read_last_end": Hot([CATALOG]),
    # with each view of the status page, which refreshes itself
    "list_recent_cycles": Hot(["8"], {"checkpoint_pkey": "cycle_id"}),
    "list_recent_changes": Hot(
        ["12"], {"models_updated_at_idx": "catalog", "models_removed_at_idx": "catalog"}
    ),
    "count_hourly_changes": Hot([AT, "50000"], {"models_updated_at_idx": "updated_at"}),
    "sample_history": Hot(["4000"]),
    # with each hour of the daemon and each sync, where changes are not kept for ever
    "raise_kept_since": Hot(
        ["30"],
        {"model_changes_committed_at_idx": "committed_at"},
        reads_whole="history",
        because="it is one row",
    ),
    "drop_changes": Hot(["0", "9000", "5000"], {"model_changes_pkey": "change_id"}),
    # with each poll of a catalog whose details are fetched, and for each of them
    "list_changed_details": Hot(
        [CATALOG, "19990", "1000"],
        {"model_changes_pkey": "change_id"},
        reads_whole="detail_failure",
        because="models without details are few",
    ),
    "list_due_details": Hot([CATALOG, "100"], {"detail_failure_retry_at_idx": "retry_at"}),
    "list_open_details": Hot([CATALOG, "model_00001000", "100"], BY_KEY),
    "read_last_change": Hot(),
    "store_detail": Hot(
        [CATALOG, "model_00000003", "{}", "x", "x", AT, "false"], {"model_details_pkey": "id"}
    ),
    "delete_inputs": Hot([CATALOG, "model_00000003"], {"model_inputs_pkey": "id"}),
    "insert_inputs": Hot([CATALOG, "model_00000003"], {"model_details_pkey": "id"}),
    "record_detail_failure": Hot([CATALOG, "model_00000003", "x", "reason", "300 s"]),
    # with each change that somebody follows
    "read_changes": Hot(["19000", "200", "2000000"], {"model_changes_pkey": "change_id"}),
    "read_change_ends": Hot(),
    # with each page of a comparison
    "read_stored": Hot([CATALOG, PAGE_OF], BY_KEY),
    "doubt_models": Hot([CATALOG, PAGE_OF, TIMES, TIMES], BY_KEY),
    "rewind_models": Hot(
        [ROWS, CATALOG, CYCLE, AT, AT],
        BY_KEY,
        reads_whole="seen",
        because="it holds the pages of sweeps under way, and nothing else",
    ),
    "list_created": Hot([CATALOG, AT, "2025-03-02Z"], {"models_created_at_idx": "catalog"}),
}

COLD: Mapping[str, Sequence[str]] = {
    "once a sweep, about every model: syncer.unseen_models reads catalog and seen-set": (
        "read_absences",
        "read_suspects",
        "sample_unseen",
        "lock_unseen",
        "remove_unseen",
        "clear_unlisted",
        "delete_seen",
        "hold_removals",
        "read_waiting",
    ),
    "once a cycle at most, by the key of one catalog or cycle": (
        "abandon_cycles",
        "drop_old_checkpoints",
        "drop_old_orders",
        "drop_partition",
        "record_catalog_error",
        "record_partition_error",
    ),
    "once a process, or for each change of a holder; a row for each catalog": (
        "claim_lease",
        "end_stuck_pages",
        "limit_lease_wait",
        "lock_lease",
        "mark_leases",
        "pin_catalog",
        "probe_lease",
        "read_leases",
        "register_catalog",
        "release_lease",
        "reset_catalog",
        "restore_catalog",
        "retire_catalogs",
        "take_lease",
        "unmark_lease",
    ),
    "once a second while requests are waited for; a row for each process": (
        "leave_budget",
        "move_budget",
        "read_budget",
    ),
    "for a person or monitor who waits: an order, a proof, the quarantine, a plan, the demo": (
        "avoid_sorting",
        "count_details",
        "count_types",
        "dismiss_quarantine",
        "export_models",
        "finish_order",
        "list_mirrored",
        "list_newest",
        "list_quarantine",
        "measure_models",
        "place_order",
        "record_verified",
        "rank_tags",
        "read_facts_tags",
        "read_facts_types",
        "read_order",
        "read_versions",
        "withdraw_order",
    ),
    "syncer forget: in batches, tested for their steps in test_forget.py": (
        "count_catalog",
        "delete_catalog",
        "delete_changes",
        "delete_cycles",
        "delete_details",
        "delete_models",
        "delete_quarantine",
        "list_catalogs",
        "void_catalog",
    ),
    "migrations and checks: no table of ours, or one of a few rows": (
        "check_reader",
        "check_rows",
        "create_migration",
        "describe_role",
        "describe_server",
        "find_migration",
        "insert_migration",
        "limit_migration",
        "list_missing_rights",
        "lock_migration",
        "plan_grants",
        "read_findings",
        "read_migrations",
        "restore_settings",
        "save_findings",
        "unlock_migration",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A filled database, and a page of what is in it."""

    url: str
    is_analysed: bool
    literals: Mapping[str, str]

    def filled_in(self, arguments: Sequence[str | None]) -> list[str | None]:
        return [each if each is None else self.literals.get(each, each) for each in arguments]


LITERALS = """
SELECT
    array_agg(id)::text AS page,
    array_agg(content_hash)::text AS hashes,
    array_agg(updated_at)::text AS times,
    array_agg(fingerprint)::text AS texts,
    array_agg('insert'::text)::text AS operations,
    array_agg(NULL::jsonb)::text AS nothings,
    array_agg(jsonb_populate_record(NULL::syncer.model_row, to_jsonb(m)))::text AS rows
FROM (SELECT * FROM scenario.models WHERE catalog = $1 ORDER BY created_at LIMIT $2) AS m
"""


@pytest.fixture(name="place", scope="module", params=["analysed", "never analysed"])
def place_fixture(
    request: pytest.FixtureRequest, postgres_dsn: str, migrated_template: str
) -> Iterator[Place]:
    async def prepare(url: str) -> Place:
        connection = await asyncpg.connect(url)
        try:
            await fill(connection)
            if request.param == "analysed":
                await connection.execute("ANALYZE")
            literals = await connection.fetchrow(LITERALS, CATALOG, PAGE)
            assert literals is not None
            return Place(url, request.param == "analysed", dict(literals))
        finally:
            await connection.close()

    with postgres.fresh_database(postgres_dsn, template=migrated_template) as url:
        yield postgres.run_apart(prepare(url))


@pytest.fixture(name="empty_url")
def empty_url_fixture(postgres_dsn: str, migrated_template: str) -> Iterator[str]:
    with postgres.fresh_database(postgres_dsn, template=migrated_template) as url:
        yield url


def complaints(hot: Hot, plan: Any) -> list[str]:
    """What a plan does that it should not."""
    allowed = ROW_A_CATALOG | set(hot.reads_whole.split(", "))
    found = [f"reads all of {table}" for table in sorted(plan.whole_tables - allowed)]
    return found + [
        f"does not enter {index} by {column}"
        for index, column in hot.enters.items()
        if not plan.enters(index, column)
    ]


@asynccontextmanager
async def session(place: Place) -> AsyncIterator[Connection]:
    """As the program opens its own."""
    connection = await open_connection(
        place.url,
        statement_timeout_s=60,
        idle_in_transaction_timeout_s=60,
        application_name="plans",
    )
    try:
        yield connection
    finally:
        await connection.close()


async def test_hot_queries_touch_what_they_ask_for(place: Place) -> None:
    queries, wrong = load_queries(), {}
    async with session(place) as connection:
        for name, hot in HOT.items():
            plan = await explain(connection, queries[name], place.filled_in(hot.arguments))
            if found := complaints(hot, plan):
                wrong[name] = f"{'; '.join(found)}:\n{plan}"

    assert wrong == {}, "\n\n".join(f"{name} {text}" for name, text in wrong.items())


async def test_plans_with_arguments_would_be_worse(place: Place) -> None:
    """Why sessions force generic plans; where this fails, they need not."""
    queries, names = load_queries(), ("lock_models", "read_stored")
    entering = {}
    async with session(place) as connection:
        await connection.execute("SET plan_cache_mode = force_custom_plan")
        for name in names:
            arguments = place.filled_in(HOT[name].arguments)
            plan = await explain(connection, queries[name], arguments)
            entering[name] = plan.enters("models_pkey", "id")

    assert entering == dict.fromkeys(names, place.is_analysed)


async def test_plans_of_a_first_backfill_hold_when_the_table_has_grown(empty_url: str) -> None:
    """A session keeps for minutes the plan that it made before the first page came."""
    queries, entering = load_queries(), {}
    names = ("recognise_models", "choose_models")
    nothing = dict.fromkeys((PAGE_OF, HASHES, TIMES, TEXTS), "{}")
    place = Place(empty_url, is_analysed=False, literals=nothing)
    async with session(place) as connection:
        for name in names:
            arguments = place.filled_in(HOT[name].arguments)
            plan = await explain(connection, queries[name], arguments)
            entering[name] = plan.enters("models_pkey", "id")

    assert entering == dict.fromkeys(names, True)


def test_every_query_is_hot_or_cold() -> None:
    """A new one is placed on either list by whoever adds it."""
    cold = [name for names in COLD.values() for name in names]
    placed = sorted([*HOT, *cold])

    assert placed == sorted(load_queries())
    assert all(hot.because for hot in HOT.values() if hot.reads_whole)


async def test_a_plan_that_reads_the_whole_table_is_noticed(place: Place) -> None:
    """The check is checked, with the lookup that an index cannot serve."""
    query = "SELECT id FROM scenario.models WHERE catalog = $1 AND lower(id) = ANY ($2::text[])"
    async with session(place) as connection:
        plan = await explain(connection, query, place.filled_in([CATALOG, PAGE_OF]))

    assert complaints(Hot(enters=BY_KEY), plan)[-1] == "does not enter models_pkey by id"
