-- The source no longer accepts this partition's filter.
-- $1 cycle_id bigint · $2 partition text · $3 message text · $4 hint text
UPDATE syncer.checkpoint
SET
    phase = 'dropped', seq = seq + 1, last_error_at = clock_timestamp(), last_error_message = $3,
    last_error_hint = $4
WHERE cycle_id = $1 AND partition = $2 AND phase <> 'complete'
