-- A retired catalog that stands in the configuration again.
-- $1 catalog text
UPDATE syncer.catalog SET retired_at = NULL WHERE catalog = $1 AND retired_at IS NOT NULL
