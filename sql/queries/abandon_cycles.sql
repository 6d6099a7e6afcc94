-- Give up a catalog's unfinished cycles: their scope or source no longer holds.
-- $1 catalog text · $2 kind text, NULL for all
WITH abandoned AS (
    UPDATE syncer.cycle
    SET finished_at = now(), outcome = 'abandoned'
    WHERE catalog = $1 AND finished_at IS NULL AND ($2::text IS NULL OR kind = $2)
    RETURNING cycle_id
)
DELETE FROM syncer.seen USING abandoned WHERE seen.cycle_id = abandoned.cycle_id
