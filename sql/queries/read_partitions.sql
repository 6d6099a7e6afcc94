-- The partitions of each catalog's newest cycle that has any; only reads.
SELECT
    y.catalog, p.partition, p.phase, p.after_at, p.before_at, p.newest_at, p.models, p.pages,
    p.last_error_at, p.last_error_message, p.last_error_hint
FROM syncer.checkpoint AS p
JOIN syncer.cycle AS y USING (cycle_id)
WHERE y.cycle_id = (
    SELECT max(y2.cycle_id)
    FROM syncer.cycle AS y2 JOIN syncer.checkpoint USING (cycle_id)
    WHERE y2.catalog = y.catalog
)
ORDER BY y.catalog, p.partition
