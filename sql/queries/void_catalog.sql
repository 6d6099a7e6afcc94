-- Retire a catalog, and make its row what a new one's is: a catalog that loses its rows must not look
-- filled to whoever configures it again half-way. No row: it is gone, or configured again.
-- $1 text     catalog
-- $2 boolean  whether it may be one that nobody has retired yet
-- Index: catalog_pkey.
UPDATE syncer.catalog
SET
    retired_at = coalesce(retired_at, now()), pin = NULL, backfilled_at = NULL, watermark = NULL,
    settled_from = NULL, head = NULL, last_cycle_kind = NULL, last_cycle_outcome = NULL,
    last_cycle_started_at = NULL, last_cycle_finished_at = NULL, last_complete_at = NULL,
    swept_at = NULL, fed_at = NULL, removals_waiting = 0, blocked = false, last_error_at = NULL, last_error_message = NULL,
    last_error_hint = NULL, verified_at = NULL, verify_differences = NULL
WHERE catalog = $1 AND (retired_at IS NOT NULL OR $2)
RETURNING catalog
