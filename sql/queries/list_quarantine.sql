-- What is in quarantine, oldest first.
-- $1 catalogs text[], NULL for all · $2 keys text[], NULL for all
SELECT catalog, key, reason, raw, dismissed, first_seen_at, changed_at
FROM syncer.quarantine
WHERE ($1::text[] IS NULL OR catalog = ANY ($1)) AND ($2::text[] IS NULL OR key = ANY ($2))
ORDER BY first_seen_at, catalog, key
