-- Move one checkpoint, if it is still where this page found it; no row means it is not.
-- $1 cycle_id bigint · $2 partition text · $3 seq before bigint · $4 phase text
-- $5 after_at · $6 before_at · $7 crossing_after_at · $8 crossing_upto_at timestamptz
-- $9 crossing_readings integer · $10 crossing_digest bigint · $11 newest_at timestamptz
-- $12 pages bigint · $13 models bigint
UPDATE syncer.checkpoint
SET
    phase = $4,
    after_at = $5,
    before_at = $6,
    crossing_after_at = $7,
    crossing_upto_at = $8,
    crossing_readings = $9,
    crossing_digest = $10,
    newest_at = $11,
    pages = $12,
    models = $13,
    seq = seq + 1,
    moved_at = now(),
    last_error_at = NULL,
    last_error_message = NULL,
    last_error_hint = NULL
WHERE cycle_id = $1 AND partition = $2 AND seq = $3
RETURNING seq
