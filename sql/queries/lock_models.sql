-- Lock the rows that a page may change, in key order: unsorted locks deadlock two merges.
-- $1 catalog text · $2 ids text[]
SELECT id, removed_at IS NOT NULL AS removed, updated_at
FROM scenario.models
WHERE catalog = $1 AND id = ANY ($2::text[])
ORDER BY id
FOR NO KEY UPDATE
