-- Make sure that a catalog has its row.
-- $1 catalog text · $2 scope jsonb
INSERT INTO syncer.catalog (catalog, scope)
VALUES ($1, $2::jsonb)
ON CONFLICT (catalog) DO NOTHING
