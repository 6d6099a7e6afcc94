-- Read the leases of all catalogs, or of some. Locks nothing.
-- $1 text[]  catalogs; NULL for all
-- A lease that nobody holds has no holder and no expiry; it is not "expired" but free.
SELECT
    catalog,
    holder,
    epoch,
    expires_at,
    coalesce(expires_at <= clock_timestamp(), false) AS expired
FROM syncer.lease
WHERE $1::text[] IS NULL OR catalog = ANY ($1)
ORDER BY catalog;
