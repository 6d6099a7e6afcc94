-- Take the locked lease over, if it is free: released, expired by the database's clock, or its holder's
-- session is gone (see probe_lease.sql). No row: it is held after all.
-- $1 text      catalog
-- $2 text      holder
-- $3 interval  time to live
-- Index: lease_pkey.
UPDATE syncer.lease
SET holder = $2, epoch = epoch + 1, expires_at = clock_timestamp() + $3
WHERE catalog = $1
    AND CASE
        WHEN holder IS NULL OR expires_at <= clock_timestamp() THEN true
        ELSE pg_try_advisory_xact_lock_shared(1937337955, syncer.lease_key(catalog, epoch))
    END
RETURNING epoch;
