-- A cycle that did not complete, and why.
-- $1 catalog text · $2 kind text · $3 outcome text · $4 started_at timestamptz
-- $5 message text · $6 hint text · $7 blocked boolean: waiting does not mend it
UPDATE syncer.catalog
SET
    last_cycle_kind = $2,
    last_cycle_outcome = $3,
    last_cycle_started_at = $4,
    last_cycle_finished_at = clock_timestamp(),
    blocked = $7,
    last_error_at = clock_timestamp(),
    last_error_message = $5,
    last_error_hint = $6
WHERE catalog = $1
