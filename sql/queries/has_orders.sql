-- Whether there is an order for a holder of this epoch to begin; only reads, so that looking costs nothing.
-- $1 catalog text · $2 epoch bigint
-- Index: catalog_order_open_idx.
SELECT EXISTS (
    SELECT FROM syncer.catalog_order
    WHERE catalog = $1 AND finished_at IS NULL AND (taken_epoch IS NULL OR taken_epoch < $2)
)
