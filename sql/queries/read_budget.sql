-- What the processes that ask a source have agreed on; one row per holder, at least one in all.
-- $1 text  source
-- $2 text  this process
-- $3 bool  show that this process lives: take its session's advisory lock, shared
-- $4 bool  find out whether the others live
-- Writes nothing. Times leave as seconds from now, as no machine's clock is compared with the database's.
-- is_shown is false while another session looks whether we live; ask again.
-- The lock may be taken after the rows were read: what is stored next carries the version and proves them.
-- Index: budget_pkey, allowance_pkey.
WITH shown AS MATERIALIZED (
    SELECT CASE
        WHEN $3 THEN pg_try_advisory_lock_shared(1937337957, syncer.allowance_key($1, $2))
        ELSE true
    END AS is_shown
)
SELECT
    shown.is_shown,
    b.version,
    extract(epoch FROM b.paused_until - clock_timestamp())::double precision AS resume_s,
    b.reduced_rate,
    b.storms,
    ARRAY(
        SELECT extract(epoch FROM ripe_at - clock_timestamp())::double precision
        FROM unnest(b.returned) AS t (ripe_at)
        WHERE ripe_at > clock_timestamp()
    ) AS returned_s,
    a.holder,
    a.held,
    a.wanted,
    a.max_requests,
    extract(epoch FROM clock_timestamp() - a.waiting_since)::double precision AS waited_s,
    extract(epoch FROM clock_timestamp() - a.dead_at)::double precision AS dead_s,
    CASE
        WHEN NOT $4 OR a.holder IS NULL OR a.holder = $2 THEN true
        ELSE NOT pg_try_advisory_xact_lock(1937337957, syncer.allowance_key($1, a.holder))
    END AS is_alive
FROM shown
LEFT JOIN syncer.budget AS b ON b.source = $1
LEFT JOIN syncer.allowance AS a ON a.source = $1;
