-- A sweep that is finished needs its seen-set no more.
-- $1 cycle_id bigint
-- Index: seen_cycle_idx.
DELETE FROM syncer.seen WHERE cycle_id = $1
