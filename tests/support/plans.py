"""
How PostgreSQL means to answer a query: plans as values, over a database with enough in it.

Owns filling such a database and reading EXPLAIN. Never judges a plan.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncer.store.pool import Connection

PAGE = 500
CYCLE = "1"
"""The sweep that is under way, as an argument."""

FILL = """
ALTER TABLE scenario.models SET (autovacuum_enabled = false);
ALTER TABLE scenario.model_changes SET (autovacuum_enabled = false);
ALTER TABLE syncer.quarantine SET (autovacuum_enabled = false);
ALTER TABLE syncer.cycle SET (autovacuum_enabled = false);
ALTER TABLE syncer.checkpoint SET (autovacuum_enabled = false);
ALTER TABLE syncer.seen SET (autovacuum_enabled = false);
ALTER TABLE scenario.model_changes SET (autovacuum_enabled = false);
ALTER TABLE syncer.catalog_order SET (autovacuum_enabled = false);

INSERT INTO syncer.catalog (catalog, scope) VALUES ('public', '{}'), ('private', '{}');
INSERT INTO syncer.lease (catalog, holder, epoch, expires_at)
SELECT catalog, 'somebody', 1, now() + interval '1 hour' FROM syncer.catalog;

INSERT INTO scenario.models
    (catalog, id, name, type, tags, created_at, updated_at, body, content_hash, sent_order,
     first_seen_at, removed_at, removed_reason)
SELECT
    CASE WHEN n % 10 = 0 THEN 'private' ELSE 'public' END,
    'model_' || lpad(n::text, 8, '0'),
    'model ' || n,
    (ARRAY['custom', 'flux.1', 'sdxl'])[1 + n % 3],
    ARRAY['tag' || n % 50],
    timestamptz '2024-01-01Z' + n * interval '1 minute',
    timestamptz '2025-01-01Z' + (n * 7919 % 20000) * interval '1 minute',
    jsonb_build_object('id', n, 'text', repeat(md5(n::text), 30)),
    sha256(n::text::bytea),
    n,
    timestamptz '2025-06-01Z',
    CASE WHEN n % 100 = 7 THEN timestamptz '2025-07-01Z' END,
    CASE WHEN n % 100 = 7 THEN 'absent' END
FROM generate_series(1, 20000) AS n;

INSERT INTO scenario.model_changes (catalog, id, operation, source_updated_at, committed_at)
SELECT catalog, id, 'insert', updated_at, timestamptz '2025-06-01Z' + sent_order * interval '1 s'
FROM scenario.models ORDER BY sent_order;

ALTER TABLE scenario.model_details SET (autovacuum_enabled = false);
ALTER TABLE scenario.model_inputs SET (autovacuum_enabled = false);
ALTER TABLE syncer.detail_failure SET (autovacuum_enabled = false);
INSERT INTO scenario.model_details
    (catalog, id, body, content_hash, listed_hash, source_updated_at, fetched_at, changed_at)
SELECT catalog, id, '{}', content_hash, content_hash, updated_at, now(), now() FROM scenario.models;
INSERT INTO scenario.model_inputs (catalog, id, position, body)
SELECT catalog, id, 1, '{}' FROM scenario.models;
INSERT INTO syncer.detail_failure (catalog, id, listed_hash, reason, tries, failed_at, retry_at)
SELECT catalog, id, 'x', 'reason', 1, now(), now() + sent_order * interval '1 s'
FROM scenario.models WHERE sent_order % 10 = 1;

INSERT INTO syncer.quarantine (catalog, key, reason, raw, raw_hash, sent_order)
SELECT
    'public', 'model_' || lpad((n * 3)::text, 8, '0'), 'a reason', 'raw', sha256(n::text::bytea), n
FROM generate_series(1, 3000) AS n;

INSERT INTO syncer.cycle (catalog, kind, strategy, reason, source_now, finished_at, outcome)
SELECT
    CASE WHEN n % 10 = 0 THEN 'private' ELSE 'public' END,
    CASE n WHEN 1 THEN 'sweep' ELSE 'delta' END,
    'by time', 'because', now(), CASE WHEN n > 1 THEN now() END, CASE WHEN n > 1 THEN 'complete' END
FROM generate_series(1, 3000) AS n;

INSERT INTO syncer.checkpoint (cycle_id, partition, phase, sort_key)
SELECT 1 + n / 8, 'part ' || n % 8, 'walking', 'createdAt' FROM generate_series(0, 7999) AS n;

INSERT INTO syncer.seen (cycle_id, hashes, older_ids, is_blind)
SELECT 1, array_agg(hashtextextended(id, 1)), '{}', false
FROM (
    SELECT id, ntile(40) OVER (ORDER BY id) AS page
    FROM scenario.models WHERE catalog = 'public'
) AS m
GROUP BY page;

INSERT INTO scenario.model_changes (catalog, id, operation, source_updated_at, committed_at)
SELECT catalog, id, 'insert', updated_at, first_seen_at FROM scenario.models;

INSERT INTO syncer.catalog_order
    (catalog, kind, arguments, placed_by, taken_epoch, taken_at, finished_at, outcome)
SELECT 'public', 'sweep', '{}', 'somebody', 1, now(), now(), '{}' FROM generate_series(1, 2000);
"""


async def fill(connection: Connection) -> None:
    """A mirror of two catalogs in the middle of a sweep, with a long history behind it."""
    await connection.execute(FILL)


@dataclass(frozen=True, slots=True)
class Plan:
    """What EXPLAIN says of one query."""

    nodes: tuple[Mapping[str, Any], ...]

    @property
    def whole_tables(self) -> set[str]:
        """Tables that are read from end to end."""
        return {
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and "Relation Name" in node
        }

    @property
    def probes(self) -> set[tuple[str, str]]:
        """Indexes with the condition that they are entered by."""
        return {
            (node["Index Name"], node.get("Index Cond", ""))
            for node in self.nodes
            if "Index Name" in node
        }

    def enters(self, index: str, column: str) -> bool:
        """Whether an index is entered by a condition on this column."""
        return any(name == index and f"{column} " in f"{by} " for name, by in self.probes)

    def __str__(self) -> str:
        return "\n".join(
            "{} {} {}".format(
                node["Node Type"],
                node.get("Index Name") or node.get("Relation Name") or "",
                node.get("Index Cond") or node.get("Filter") or "",
            )
            for node in self.nodes
        )


async def explain(connection: Connection, query: str, arguments: Sequence[str | None]) -> Plan:
    """The plan of a prepared statement, in the session as it is."""
    given = ", ".join("NULL" if each is None else _quoted(each) for each in arguments)
    await connection.execute(f"PREPARE asked AS {query}")
    try:
        text = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) EXECUTE asked{f'({given})' if arguments else ''}"
        )
    finally:
        await connection.execute("DEALLOCATE asked")
    return Plan(tuple(_nodes(json.loads(text)[0]["Plan"])))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
