-- As lock_models, with the bodies: for rows whose change is to be told field by field.
-- $1 catalog text · $2 ids text[]
SELECT id, removed_at IS NOT NULL AS removed, updated_at, body
FROM scenario.models
WHERE catalog = $1 AND id = ANY ($2::text[])
ORDER BY id
FOR NO KEY UPDATE
