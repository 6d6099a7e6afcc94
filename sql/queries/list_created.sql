-- Live models of the mirror that were created in a range.
-- $1 catalog text · $2 timestamptz, exclusive start, NULL: from the beginning
-- $3 timestamptz, inclusive end, NULL: to the end
-- Index: models_created_at_idx.
SELECT id, created_at
FROM scenario.models
WHERE catalog = $1
    AND removed_at IS NULL
    -- Not "$2 IS NULL OR …", which no index serves before the arguments are known.
    AND created_at > coalesce($2::timestamptz, '-infinity')
    AND created_at <= coalesce($3::timestamptz, 'infinity')
