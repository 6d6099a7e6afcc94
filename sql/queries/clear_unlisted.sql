-- Records in quarantine that the source lists no more, by a sweep that has seen everything.
-- $1 cycle_id bigint
DELETE FROM syncer.quarantine AS q
USING syncer.cycle AS c
WHERE c.cycle_id = $1
    AND q.catalog = c.catalog
    AND q.changed_at < c.started_at
    AND NOT EXISTS (
        SELECT FROM syncer.seen AS s CROSS JOIN LATERAL unnest(s.hashes) AS h (hash)
        WHERE s.cycle_id = $1 AND h.hash = hashtextextended(q.key, $1)
    )
