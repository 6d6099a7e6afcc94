-- Store one agreement about a source's request budget, or nothing if another came in between.
-- $1 text      source
-- $2 bigint    version that it was worked out from; 0: there was nothing yet
-- $3 text      this process
-- $4 integer   tokens it holds from now on
-- $5 integer   tokens it wants beyond that
-- $6 integer   its max_requests_per_minute
-- $7 boolean   it was granted some: its waiting starts anew
-- $8 float8[]  seconds until each token that it gives back is ripe; ripe ones are left out
-- $9 text[]    holders found dead
-- $10 text[]   holders dead for so long that what they held is free
-- $11 float8   seconds until the pause ends; NULL leaves pause, rate and storms as they are
-- $12 float8   requests a minute then
-- $13 integer  pauses in a row
-- Returns one row if it was stored. A second one under the same version waits for the first, and then
-- finds another version. Index: budget_pkey, allowance_pkey.
WITH moved AS (
    INSERT INTO syncer.budget AS b (source, version, returned, paused_until, reduced_rate, storms)
    VALUES (
        $1,
        $2::bigint + 1,
        ARRAY(SELECT clock_timestamp() + make_interval(secs => s) FROM unnest($8::float8[]) AS t (s)),
        clock_timestamp() + make_interval(secs => $11::float8),
        $12::float8,
        coalesce($13::integer, 0)
    )
    ON CONFLICT (source) DO UPDATE SET
        version = excluded.version,
        returned = ARRAY(
            SELECT ripe_at FROM unnest(b.returned) AS t (ripe_at) WHERE ripe_at > clock_timestamp()
        ) || excluded.returned,
        paused_until = coalesce(excluded.paused_until, b.paused_until),
        reduced_rate = coalesce(excluded.reduced_rate, b.reduced_rate),
        storms = coalesce($13::integer, b.storms)
    WHERE b.version = $2
    RETURNING source
),
dead AS (
    UPDATE syncer.allowance AS a
    SET dead_at = clock_timestamp()
    FROM moved
    WHERE a.source = moved.source AND a.holder = ANY ($9::text[]) AND a.dead_at IS NULL
),
buried AS (
    DELETE FROM syncer.allowance AS a
    USING moved
    WHERE a.source = moved.source AND a.holder = ANY ($10::text[])
)
INSERT INTO syncer.allowance AS a (source, holder, held, wanted, max_requests, waiting_since)
SELECT moved.source, $3, $4::integer, $5::integer, $6::integer, CASE WHEN $5 > 0 THEN clock_timestamp() END
FROM moved
ON CONFLICT (source, holder) DO UPDATE SET
    held = excluded.held,
    wanted = excluded.wanted,
    max_requests = excluded.max_requests,
    waiting_since = CASE
        WHEN excluded.wanted = 0 THEN NULL
        WHEN $7 THEN clock_timestamp()
        ELSE coalesce(a.waiting_since, clock_timestamp())
    END,
    dead_at = NULL
RETURNING a.held;
