-- Show that the holder's session lives: take the session's advisory lock of each lease.
-- $1 text[]    catalogs
-- $2 bigint[]  epochs, in the same order
-- is_marked is false when an earlier session of the same holder still has it (a connection that broke
-- without the server noticing); the holder asks again with its next renewal.
SELECT
    catalog,
    pg_try_advisory_lock(1937337955, syncer.lease_key(catalog, epoch)) AS is_marked
FROM unnest($1::text[], $2::bigint[]) AS held (catalog, epoch);
