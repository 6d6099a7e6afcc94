-- The newest cycles of each catalog, for the status page; only reads.
-- $1 cycles per catalog bigint. Reads cycles from their newest, by cycle_catalog_idx or cycle_pkey: no more
-- than are kept of each catalog. Enters checkpoint_pkey by cycle_id.
-- Partitions are pruned some time after their cycle: what it read is NULL then.
SELECT
    y.catalog, y.kind, y.strategy, y.reason, y.started_at, y.finished_at, y.outcome, p.models,
    p.pages
FROM syncer.catalog AS c
CROSS JOIN LATERAL (
    SELECT *
    FROM syncer.cycle AS newest
    WHERE newest.catalog = c.catalog
    ORDER BY newest.cycle_id DESC
    LIMIT $1
) AS y
CROSS JOIN LATERAL (
    SELECT sum(models)::bigint AS models, sum(pages)::bigint AS pages
    FROM syncer.checkpoint
    WHERE cycle_id = y.cycle_id
) AS p
WHERE c.retired_at IS NULL
ORDER BY y.started_at DESC, y.cycle_id DESC
