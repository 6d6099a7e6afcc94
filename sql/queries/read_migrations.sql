-- Read what was applied to this database, in order.
-- Index: migration_pkey.
SELECT number, name, checksum, applied_at, oldest_compatible
FROM syncer.migration
ORDER BY number;
