-- Live models whose details are missing or belong to another version, among the next ones in key order; those that failed
-- under this very version are left out (list_due_details).
-- $1 catalog text · $2 after this id text ('' to begin) · $3 look at so many models at most bigint
-- last_id: up to which was looked, NULL at the end; id is NULL in the row that only says that. Bounded by what is looked at,
-- not by what is found: a catalog that has all of its details is read in pieces, and once in the life of a process.
-- Index: models_pkey from $2 on, one probe of model_details_pkey each (asked for as in choose_models).
WITH models AS MATERIALIZED (
    SELECT m.catalog, m.id, m.content_hash, m.updated_at, m.removed_at
    FROM scenario.models AS m
    WHERE m.catalog = $1 AND m.id > $2
    ORDER BY m.id
    LIMIT $3
)
SELECT (SELECT max(id) FROM models) AS last_id, o.id, o.listed_hash, o.listed_at
FROM (SELECT) AS one
LEFT JOIN (
    SELECT m.id, m.content_hash AS listed_hash, m.updated_at AS listed_at
    FROM models AS m
    LEFT JOIN LATERAL (
        SELECT d.listed_hash
        FROM scenario.model_details AS d
        WHERE d.catalog = $1 AND d.id BETWEEN m.id AND m.id
        ORDER BY d.id
        LIMIT 1
    ) AS d ON true
    LEFT JOIN LATERAL (
        SELECT f.id, f.listed_hash
        FROM syncer.detail_failure AS f
        WHERE f.catalog = $1 AND f.id BETWEEN m.id AND m.id
        ORDER BY f.id
        LIMIT 1
    ) AS f ON f.listed_hash = m.content_hash
    WHERE m.removed_at IS NULL AND d.listed_hash IS DISTINCT FROM m.content_hash AND f.id IS NULL
) AS o ON true
ORDER BY o.id
