-- Give back all that a process holds of a source's request budget, because it ends.
-- $1 text      source
-- $2 text      this process
-- $3 float8[]  seconds until each of its tokens is ripe; ripe ones are left out
-- The version stays: agreements that are under way count more as held than there is, which is safe.
-- Index: budget_pkey, allowance_pkey.
WITH gone AS (
    DELETE FROM syncer.allowance WHERE source = $1 AND holder = $2 RETURNING source
)
UPDATE syncer.budget AS b
SET returned = ARRAY(
    SELECT ripe_at FROM unnest(b.returned) AS t (ripe_at) WHERE ripe_at > clock_timestamp()
    UNION ALL
    SELECT clock_timestamp() + make_interval(secs => s) FROM unnest($3::float8[]) AS t (s)
)
FROM gone
WHERE b.source = gone.source;
