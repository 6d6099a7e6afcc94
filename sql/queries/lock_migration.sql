-- Try to become the one process that migrates this database. Never waits: a waiting statement would
-- hold a snapshot, for which CREATE INDEX CONCURRENTLY in the other process would wait in turn.
SELECT pg_try_advisory_lock(1937337956, 0);
