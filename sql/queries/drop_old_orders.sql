-- Forget orders that ended long ago.
-- $1 catalog text
DELETE FROM syncer.catalog_order
WHERE catalog = $1 AND finished_at < clock_timestamp() - interval '7 days'
