-- Whether a cycle has ended.
-- $1 cycle_id bigint
SELECT finished_at IS NOT NULL FROM syncer.cycle WHERE cycle_id = $1
