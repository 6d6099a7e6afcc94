-- What a comparison has found. No row: the catalog is kept under another scope, or not at all.
-- $1 catalog text · $2 scope jsonb that was compared · $3 models that differ integer
-- Not fenced: it is an observation, and the holder of the lease need not be who made it. Of two at once
-- the later one stays, and no other statement decides anything by it.
UPDATE syncer.catalog
SET verified_at = clock_timestamp(), verify_differences = $3
WHERE catalog = $1 AND scope = $2::jsonb
RETURNING catalog
