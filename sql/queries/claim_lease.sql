-- Claim the lease of a catalog that nobody has ever held. No row: somebody has, or just did.
-- $1 text      catalog
-- $2 text      holder
-- $3 interval  time to live
-- Index: lease_pkey.
INSERT INTO syncer.lease (catalog, holder, epoch, expires_at)
VALUES ($1, $2, 1, clock_timestamp() + $3)
ON CONFLICT (catalog) DO NOTHING
RETURNING epoch;
