-- Begin a cycle.
-- $1 catalog text · $2 kind text · $3 strategy text · $4 reason text
-- $5 source_now timestamptz · $6 ceiling timestamptz · $7 low timestamptz, of a sweep
INSERT INTO syncer.cycle (catalog, kind, strategy, reason, source_now, ceiling, low)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING cycle_id
