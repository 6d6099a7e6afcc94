-- Begin a partition of a cycle.
-- $1 cycle_id bigint · $2 partition text · $3 phase text · $4 sort_key text · $5 filter_type text
-- $6 filter_tag text · $7 is_proof boolean · $8 after_at timestamptz · $9 before_at timestamptz
INSERT INTO syncer.checkpoint
    (cycle_id, partition, phase, sort_key, filter_type, filter_tag, is_proof, after_at, before_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
