-- All partitions of a cycle, in the order of their names.
-- $1 cycle_id bigint
SELECT
    cycle_id, partition, phase, sort_key, filter_type, filter_tag, is_proof, after_at, before_at,
    crossing_after_at, crossing_upto_at, crossing_readings, crossing_digest, newest_at, pages,
    models, seq
FROM syncer.checkpoint
WHERE cycle_id = $1
ORDER BY partition
