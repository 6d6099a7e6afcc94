-- What the guard of removals held back at the end of the last sweep, and why.
-- $1 catalog text
SELECT removals_waiting, coalesce(last_error_message, '') AS last_error_message,
    coalesce(last_error_hint, '') AS last_error_hint
FROM syncer.catalog
WHERE catalog = $1
