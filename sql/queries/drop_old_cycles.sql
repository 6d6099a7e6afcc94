-- Keep a catalog's last 1,000 finished cycles.
-- $1 catalog text
DELETE FROM syncer.cycle
WHERE catalog = $1
    AND finished_at IS NOT NULL
    AND cycle_id <= (
        SELECT cycle_id FROM syncer.cycle
        WHERE catalog = $1
        ORDER BY cycle_id DESC
        OFFSET 1000 LIMIT 1
    )
