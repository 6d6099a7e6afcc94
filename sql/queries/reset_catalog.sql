-- Forget how far a catalog has come, keep its rows and history: it is filled again, then swept.
-- $1 catalog text · $2 scope jsonb · $3 pin text, NULL to drop it
UPDATE syncer.catalog
SET
    scope = $2::jsonb, pin = $3, backfilled_at = NULL, settled_from = NULL, blocked = false,
    -- What it holds may lie outside of what is listed now: only a sweep can tell.
    swept_at = '-infinity'
WHERE catalog = $1
