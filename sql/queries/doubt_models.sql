-- Make the next page that lists these models write them anew, whatever is stored: they were found to differ.
-- $1 catalog text · $2 ids text[] · $3 updated_at of the source timestamptz[], in the same order
-- $4 updated_at as stored when they were compared timestamptz[]: what has moved on since is in no doubt
-- A hash that no content has, the fingerprint of no text, and no version that could count as newer than the source's.
UPDATE scenario.models AS m
SET content_hash = '', fingerprint = 0, updated_at = least(m.updated_at, p.updated_at)
FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS p (id, updated_at, stored_at)
WHERE m.catalog = $1
    AND m.id = p.id COLLATE "C"
    AND date_trunc('milliseconds', m.updated_at) = p.stored_at
