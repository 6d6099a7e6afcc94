-- What is known of one catalog.
-- $1 catalog text · $2 scope jsonb, to compare
SELECT
    scope = $2::jsonb AS scope_holds, pin, backfilled_at, watermark, settled_from, head, last_complete_at,
    retired_at IS NOT NULL AS retired, removals_waiting,
    -- Older servers cannot subtract what is infinite.
    CASE
        WHEN isfinite(swept_at) THEN extract(epoch FROM clock_timestamp() - swept_at)::float8
        WHEN swept_at IS NOT NULL THEN 'infinity'::float8
    END AS since_sweep_s,
    extract(epoch FROM clock_timestamp() - fed_at)::float8 AS since_feed_s
FROM syncer.catalog
WHERE catalog = $1
