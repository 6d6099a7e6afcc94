-- Where an order stands.
-- $1 order_id bigint
SELECT taken_at IS NOT NULL AS is_taken, outcome
FROM syncer.catalog_order
WHERE order_id = $1
