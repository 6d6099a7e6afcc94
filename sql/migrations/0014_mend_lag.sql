-- A catalog of which nothing is known yet has an unknown lag; it was shown as 0.
CREATE OR REPLACE VIEW scenario.sync_status AS
SELECT
    c.catalog,
    CASE
        WHEN c.retired_at IS NOT NULL THEN 'retired'
        WHEN c.blocked THEN 'blocked'
        WHEN open_cycle.kind IS NOT NULL THEN open_cycle.kind
        WHEN c.backfilled_at IS NULL THEN 'new'
        ELSE 'idle'
    END AS phase,
    c.watermark,
    greatest(c.head, open_cycle.ceiling) AS head,
    -- greatest() passes over NULL: without a watermark or a head the lag is unknown, not none.
    CASE WHEN coalesce(c.head, open_cycle.ceiling) IS NOT NULL AND c.watermark IS NOT NULL THEN
        greatest(extract(epoch FROM greatest(c.head, open_cycle.ceiling) - c.watermark), 0)
    END::float8 AS lag_s,
    extract(epoch FROM clock_timestamp() - c.last_complete_at)::float8 AS freshness_s,
    coalesce(counted.live, 0) AS live_models,
    coalesce(counted.removed, 0) AS removed_models,
    (
        SELECT count(*) FROM syncer.quarantine AS q
        WHERE q.catalog = c.catalog AND NOT q.dismissed
    ) AS quarantined_models,
    c.removals_waiting
FROM syncer.catalog AS c
LEFT JOIN LATERAL (
    SELECT cycle.kind, cycle.ceiling
    FROM syncer.cycle AS cycle
    WHERE cycle.catalog = c.catalog AND cycle.finished_at IS NULL
    ORDER BY cycle.cycle_id DESC
    LIMIT 1
) AS open_cycle ON true
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE m.removed_at IS NULL) AS live,
        count(*) FILTER (WHERE m.removed_at IS NOT NULL) AS removed
    FROM scenario.models AS m
    WHERE m.catalog = c.catalog
) AS counted ON true;
