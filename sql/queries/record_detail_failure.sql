-- Details that could not be had: asked for again when the listed row changes, or after a wait that doubles up to a day.
-- $1 catalog text · $2 id text · $3 listed_hash bytea · $4 reason text · $5 first wait interval
-- Index: detail_failure_pkey.
INSERT INTO syncer.detail_failure AS f (catalog, id, listed_hash, reason, tries, failed_at, retry_at)
SELECT $1, $2, $3, $4, 1, now, now + $5::interval FROM clock_timestamp() AS now
ON CONFLICT (catalog, id) DO UPDATE SET
    listed_hash = excluded.listed_hash,
    reason = excluded.reason,
    tries = CASE WHEN f.listed_hash = excluded.listed_hash THEN f.tries + 1 ELSE 1 END,
    failed_at = excluded.failed_at,
    retry_at = excluded.failed_at + least(
        $5::interval * power(2, CASE WHEN f.listed_hash = excluded.listed_hash THEN least(f.tries, 30) ELSE 0 END),
        interval '1 day'
    )
