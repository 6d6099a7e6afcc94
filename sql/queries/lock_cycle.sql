-- Two workers that finish their last windows at once must not both see the other's as open.
-- $1 cycle_id bigint
SELECT cycle_id FROM syncer.cycle WHERE cycle_id = $1 FOR UPDATE
