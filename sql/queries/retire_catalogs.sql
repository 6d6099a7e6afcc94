-- Catalogs that are gone from the configuration, and that no living process works on (see probe_lease.sql):
-- that one has them in its own.
-- $1 configured names text[]
UPDATE syncer.catalog AS c
SET retired_at = now()
WHERE c.retired_at IS NULL
    AND c.catalog <> ALL ($1::text[])
    AND NOT EXISTS (
        SELECT FROM syncer.lease AS l
        WHERE l.catalog = c.catalog
            AND CASE
                WHEN l.holder IS NULL OR l.expires_at <= clock_timestamp() THEN false
                ELSE NOT pg_try_advisory_xact_lock_shared(
                    1937337955, syncer.lease_key(l.catalog, l.epoch)
                )
            END
    )
RETURNING c.catalog
