-- Take an order back; no row: somebody has begun it, or it has ended.
-- $1 order_id bigint · $2 outcome jsonb · $3 boolean: also one that was begun, as its holder is gone
UPDATE syncer.catalog_order
SET finished_at = clock_timestamp(), outcome = $2::jsonb
WHERE order_id = $1 AND finished_at IS NULL AND ($3 OR taken_at IS NULL)
RETURNING order_id
