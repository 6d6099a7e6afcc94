-- Which of a page's records must be read: all but those whose live row was read from the same text.
-- $1 catalog text · $2 ids text[] · $3 fingerprints bigint[], in the same order
-- content_hash: of the live row, whose text was another one; NULL without a live row.
-- Must use models_pkey, one probe an id; ANY as in choose_models.
SELECT
    p.id,
    CASE WHEN m.removed_at IS NULL THEN m.content_hash END AS content_hash
FROM unnest($2::text[], $3::bigint[]) AS p (id, fingerprint)
LEFT JOIN scenario.models AS m
    ON m.catalog = $1 AND m.id = p.id COLLATE "C" AND m.id = ANY ($2::text[])
WHERE m.fingerprint IS DISTINCT FROM p.fingerprint OR m.removed_at IS NOT NULL OR p.fingerprint = 0
