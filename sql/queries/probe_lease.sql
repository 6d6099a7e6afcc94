-- Ask whether a lease may be taken over, without waiting for anybody: a process that stands by asks
-- this every few seconds and must not queue up behind the holder's pages.
-- $1 text  catalog
-- The probe is a shared lock, so that two probes do not take each other for the holder; it is
-- released when this statement's transaction ends. Only a living holder has the exclusive one.
-- Index: lease_pkey.
SELECT
    CASE
        WHEN holder IS NULL OR expires_at <= clock_timestamp() THEN true
        ELSE pg_try_advisory_xact_lock_shared(1937337955, syncer.lease_key(catalog, epoch))
    END AS is_free
FROM syncer.lease
WHERE catalog = $1;
