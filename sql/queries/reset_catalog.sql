-- Forget how far a catalog has come, keep its rows and history: it is filled again.
-- $1 catalog text · $2 scope jsonb · $3 pin text, NULL to drop it
UPDATE syncer.catalog
SET scope = $2::jsonb, pin = $3, backfilled_at = NULL, settled_from = NULL, blocked = false
WHERE catalog = $1
