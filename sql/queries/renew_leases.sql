-- Renew leases; returns those that are still held under the given epoch.
-- $1 text[]    catalogs
-- $2 bigint[]  epochs, in the same order
-- $3 interval  time to live
-- Touches expires_at alone: an update that changes no key column takes FOR NO KEY UPDATE, which does not
-- wait for the FOR KEY SHARE of a page in flight (fence_lease.sql).
UPDATE syncer.lease AS lease
SET expires_at = clock_timestamp() + $3
FROM unnest($1::text[], $2::bigint[]) AS held (catalog, epoch)
WHERE lease.catalog = held.catalog
    AND lease.epoch = held.epoch
    AND lease.holder IS NOT NULL
RETURNING lease.catalog;
