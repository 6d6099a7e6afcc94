-- Keep what a check found out; a value that stayed the same keeps the time it was first found.
-- $1 source text · $2 findings jsonb, one object of key and value
-- Sorted, because two checks at once would otherwise lock the rows crosswise.
INSERT INTO syncer.finding AS f (source, key, value)
SELECT $1, each.key, each.value
FROM jsonb_each($2::jsonb) AS each
ORDER BY each.key COLLATE "C"
ON CONFLICT (source, key) DO UPDATE SET
    value = excluded.value,
    found_at = excluded.found_at,
    first_found_at = CASE WHEN f.value = excluded.value THEN f.first_found_at ELSE excluded.first_found_at END
