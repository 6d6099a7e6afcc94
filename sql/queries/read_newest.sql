-- The newest createdAt that the mirror holds, tombstones included: new models come after it.
-- $1 catalog text
-- Index: models_created_at_idx.
SELECT created_at FROM scenario.models WHERE catalog = $1 ORDER BY created_at DESC LIMIT 1
