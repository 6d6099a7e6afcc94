-- Leave work for the process that holds a catalog's lease.
-- $1 catalog text · $2 kind text · $3 arguments jsonb · $4 placed_by text
INSERT INTO syncer.catalog_order (catalog, kind, arguments, placed_by)
VALUES ($1, $2, $3::jsonb, $4)
RETURNING order_id
