-- Forget how far a catalog has come, keep its rows and history: it is filled again, then swept.
-- $1 catalog text · $2 scope jsonb · $3 pin text, NULL to drop it
UPDATE syncer.catalog
SET
    scope = $2::jsonb, pin = $3, backfilled_at = NULL, settled_from = NULL, blocked = false,
    -- What it holds may lie outside of what is listed now: only a sweep can tell.
    swept_at = '-infinity',
    -- A comparison speaks of the scope that it was made under.
    verified_at = CASE WHEN scope = $2::jsonb THEN verified_at END,
    verify_differences = CASE WHEN scope = $2::jsonb THEN verify_differences END
WHERE catalog = $1
