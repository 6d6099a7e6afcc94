-- Which of a page's models to send at all: those that are new, removed, or of other content.
-- Only chooses; the merge compares again once the rows are locked.
-- $1 catalog text · $2 ids text[] · $3 content hashes bytea[] · $4 updated_at timestamptz[]
-- position: 1-based place in the arrays. LATERAL with a limit: one probe of models_pkey an id, also in a
-- table that was never analysed.
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
    SELECT s.id, s.removed_at, s.content_hash, s.updated_at
    FROM scenario.models AS s
    WHERE s.catalog = $1 AND s.id = p.id COLLATE "C"
    LIMIT 1
) AS m ON true
WHERE m.content_hash IS DISTINCT FROM p.content_hash OR m.removed_at IS NOT NULL
