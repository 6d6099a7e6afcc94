-- Say how an order ended.
-- $1 order_id bigint · $2 outcome jsonb
UPDATE syncer.catalog_order
SET finished_at = clock_timestamp(), outcome = $2::jsonb
WHERE order_id = $1 AND finished_at IS NULL
