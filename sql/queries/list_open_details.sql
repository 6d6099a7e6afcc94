-- Live models whose details are missing or belong to another version, in key order; those that failed under this
-- very version are left out (list_due_details).
-- $1 catalog text · $2 after this id text ('' to begin) · $3 at most so many bigint
-- Index: models_pkey from $2 on, one probe of model_details_pkey each, until enough are found: a pass over a catalog that
-- has all of its details reads both once, and is made once in the life of a process.
SELECT m.id, m.content_hash AS listed_hash
FROM scenario.models AS m
LEFT JOIN scenario.model_details AS d ON d.catalog = m.catalog AND d.id = m.id
LEFT JOIN syncer.detail_failure AS f ON f.catalog = m.catalog AND f.id = m.id AND f.listed_hash = m.content_hash
WHERE m.catalog = $1
    AND m.id > $2
    AND m.removed_at IS NULL
    AND d.listed_hash IS DISTINCT FROM m.content_hash
    AND f.id IS NULL
ORDER BY m.id
LIMIT $3
