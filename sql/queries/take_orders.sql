-- Begin what was ordered, and what an earlier holder began and did not finish.
-- $1 catalog text · $2 epoch bigint
-- Index: catalog_order_open_idx.
UPDATE syncer.catalog_order
SET taken_at = clock_timestamp(), taken_epoch = $2
WHERE catalog = $1 AND finished_at IS NULL AND (taken_epoch IS NULL OR taken_epoch < $2)
RETURNING order_id, kind, arguments
