-- Live models whose details failed, and that are to be asked for again by now, the longest due first.
-- $1 catalog text · $2 at most so many bigint
-- Index: detail_failure_retry_at_idx
SELECT m.id, m.content_hash AS listed_hash, m.updated_at AS listed_at
FROM syncer.detail_failure AS f
JOIN scenario.models AS m ON m.catalog = f.catalog AND m.id = f.id
WHERE f.catalog = $1 AND f.retry_at <= now() AND m.removed_at IS NULL
ORDER BY f.retry_at
LIMIT $2
