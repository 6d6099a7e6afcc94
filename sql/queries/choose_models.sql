-- Which of a page's models to send at all: those that are new, removed, or of other content.
-- Only chooses; the merge compares again once the rows are locked.
-- $1 catalog text · $2 ids text[] · $3 content hashes bytea[] · $4 updated_at timestamptz[]
-- position: 1-based place in the arrays. Must use models_pkey, one probe an id. Asked for as the first id of
-- a range of one, because no other index has an order of ids: with "=" a plan that was made while the table
-- was empty may take any index of the catalog, and reads all of it for as long as the session keeps the plan.
SELECT
    p.position,
    CASE
        WHEN m.id IS NULL THEN 'new'
        WHEN m.removed_at IS NULL AND m.updated_at > p.updated_at THEN 'stale'
        ELSE 'differs'
    END AS verdict
FROM unnest($2::text[], $3::bytea[], $4::timestamptz[]) WITH ORDINALITY
    AS p (id, content_hash, updated_at, position)
LEFT JOIN LATERAL (
    SELECT s.id, s.content_hash, s.updated_at, s.removed_at
    FROM scenario.models AS s
    WHERE s.catalog = $1 AND s.id BETWEEN p.id AND p.id
    ORDER BY s.id
    LIMIT 1
) AS m ON true
WHERE m.id IS NULL OR m.removed_at IS NOT NULL OR m.content_hash <> p.content_hash
