-- Keep the partitions of the newest cycles only: status shows those, nobody resumes older ones.
-- $1 catalog text
DELETE FROM syncer.checkpoint AS p
USING syncer.cycle AS c
WHERE c.cycle_id = p.cycle_id AND c.catalog = $1 AND c.finished_at IS NOT NULL
