-- Removals that the guard holds back, and why; shown until a sweep says otherwise.
-- $1 catalog text · $2 how many integer · $3 message text · $4 hint text
UPDATE syncer.catalog
SET
    removals_waiting = $2, last_error_at = clock_timestamp(), last_error_message = $3, last_error_hint = $4
WHERE catalog = $1
