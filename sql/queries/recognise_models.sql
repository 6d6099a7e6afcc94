-- Which of a page's records must be read: all but those whose live row was read from the same text.
-- $1 catalog text · $2 ids text[] · $3 fingerprints bigint[], in the same order
-- content_hash: of the live row, whose text was another one; NULL without a live row.
-- Must use models_pkey, one probe an id, as choose_models.
SELECT
    p.id,
    CASE WHEN m.removed_at IS NULL THEN m.content_hash END AS content_hash
FROM unnest($2::text[], $3::bigint[]) AS p (id, fingerprint)
LEFT JOIN LATERAL (
    SELECT s.id, s.fingerprint, s.content_hash, s.removed_at
    FROM scenario.models AS s
    WHERE s.catalog = $1 AND s.id BETWEEN p.id AND p.id
    ORDER BY s.id
    LIMIT 1
) AS m ON true
WHERE m.fingerprint IS DISTINCT FROM p.fingerprint OR m.removed_at IS NOT NULL OR p.fingerprint = 0
