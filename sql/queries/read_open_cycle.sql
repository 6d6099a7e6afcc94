-- The unfinished cycle of one kind, if there is one.
-- $1 catalog text · $2 kind text
SELECT cycle_id, catalog, kind, strategy, reason, source_now, ceiling, low,
    extract(epoch FROM clock_timestamp() - started_at)::float8 AS age_s
FROM syncer.cycle
WHERE catalog = $1 AND kind = $2 AND finished_at IS NULL
