-- Which of a page's models to send at all: those that are new, removed, or of other content.
-- Only chooses; the merge compares again once the rows are locked.
-- $1 catalog text · $2 ids text[] · $3 content hashes bytea[] · $4 updated_at timestamptz[]
-- position: 1-based place in the arrays. Must use models_pkey, one probe an id. ANY, which changes no
-- answer, keeps a plan made while the table was empty from reading the whole catalog once it is not.
SELECT
    p.position,
    CASE
        WHEN m.id IS NULL THEN 'new'
        WHEN m.removed_at IS NULL AND m.updated_at > p.updated_at THEN 'stale'
        ELSE 'differs'
    END AS verdict
FROM unnest($2::text[], $3::bytea[], $4::timestamptz[]) WITH ORDINALITY
    AS p (id, content_hash, updated_at, position)
LEFT JOIN scenario.models AS m
    ON m.catalog = $1 AND m.id = p.id COLLATE "C" AND m.id = ANY ($2::text[])
WHERE m.id IS NULL OR m.removed_at IS NOT NULL OR m.content_hash <> p.content_hash
