-- Silence models until their content changes.
-- $1 catalogs text[], NULL for all · $2 keys text[]
UPDATE syncer.quarantine
SET dismissed = true
WHERE ($1::text[] IS NULL OR catalog = ANY ($1)) AND key = ANY ($2::text[])
RETURNING catalog, key
