-- Which of these models are live in the mirror, and when they were created.
-- $1 catalog text · $2 ids text[]
SELECT id, created_at
FROM scenario.models
WHERE catalog = $1 AND id = ANY ($2::text[]) AND removed_at IS NULL
ORDER BY id
