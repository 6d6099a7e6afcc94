-- Catalogs that are gone from the configuration.
-- $1 configured names text[]
UPDATE syncer.catalog
SET retired_at = now()
WHERE retired_at IS NULL AND catalog <> ALL ($1::text[])
RETURNING catalog
