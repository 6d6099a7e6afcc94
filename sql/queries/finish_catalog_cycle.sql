-- What a complete cycle has proven of its catalog. The watermark never decreases.
-- $1 catalog text · $2 watermark timestamptz · $3 settled_from timestamptz · $4 newest row timestamptz
-- $5 kind text · $6 started_at timestamptz
UPDATE syncer.catalog
SET
    backfilled_at = coalesce(backfilled_at, now()),
    watermark = greatest(watermark, $2),
    settled_from = $3,
    head = greatest(head, $4),
    last_cycle_kind = $5,
    last_cycle_outcome = 'complete',
    last_cycle_started_at = $6,
    last_cycle_finished_at = clock_timestamp(),
    last_complete_at = clock_timestamp(),
    blocked = false,
    last_error_at = NULL,
    last_error_message = NULL,
    last_error_hint = NULL
WHERE catalog = $1
