-- How many models the source last changed in each hour, for the status page; only reads.
-- $1 since timestamptz (source clock) · $2 limit of each catalog bigint
-- Enters models_updated_at_idx by catalog and updated_at, and counts no further than the limit:
-- where it was reached, cut_at is the newest instant that a catalog was not counted up to. changed_at has
-- no index, and needs none for this: it would call a backfill a change of every model.
WITH counted AS MATERIALIZED (
    SELECT
        c.catalog, m.updated_at,
        row_number() OVER (PARTITION BY c.catalog ORDER BY m.updated_at DESC) AS place
    FROM syncer.catalog AS c
    CROSS JOIN LATERAL (
        SELECT newest.updated_at
        FROM scenario.models AS newest
        WHERE newest.catalog = c.catalog AND newest.updated_at >= $1
        ORDER BY newest.updated_at DESC
        LIMIT $2
    ) AS m
    WHERE c.retired_at IS NULL
)
SELECT
    date_trunc('hour', updated_at, 'UTC') AS hour,
    count(*) AS models,
    (SELECT max(updated_at) FROM counted WHERE place = $2) AS cut_at
FROM counted
GROUP BY 1
ORDER BY 1
