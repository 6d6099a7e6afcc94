-- Give back the session's advisory lock of a lease that is released or lost.
-- $1 text    catalog
-- $2 bigint  epoch
SELECT pg_advisory_unlock(1937337955, syncer.lease_key($1, $2));
