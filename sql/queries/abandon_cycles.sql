-- Give up a catalog's unfinished cycles: their scope or source no longer holds.
-- $1 catalog text
UPDATE syncer.cycle
SET finished_at = now(), outcome = 'abandoned'
WHERE catalog = $1 AND finished_at IS NULL
