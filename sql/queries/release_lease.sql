-- Give a lease back, so that a successor need not wait. The epoch stays: it never repeats.
-- $1 text    catalog
-- $2 bigint  epoch
-- Index: lease_pkey.
UPDATE syncer.lease
SET holder = NULL, expires_at = NULL
WHERE catalog = $1 AND epoch = $2;
