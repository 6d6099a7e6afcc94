-- What has changed since, and what of it needs details; those that failed under this very version are left out
-- (list_due_details), or they would be asked for with each look until everything before them is done.
-- $1 catalog text · $2 after this change_id bigint · $3 at most so many changes bigint
-- change_id: up to which the changes were read, NULL: nothing has changed; id is NULL in the row that only says that.
-- Index: model_changes_pkey from $2 on, one probe of models_pkey and model_details_pkey each. Nothing changed: nothing read.
WITH changes AS MATERIALIZED (
    SELECT c.change_id, c.catalog, c.id
    FROM scenario.model_changes AS c
    WHERE c.change_id > $2
    ORDER BY c.change_id
    LIMIT $3
)
SELECT (SELECT max(change_id) FROM changes) AS change_id, o.id, o.listed_hash, o.listed_at
FROM (SELECT) AS one
LEFT JOIN (
    SELECT DISTINCT m.id, m.content_hash AS listed_hash, m.updated_at AS listed_at
    FROM changes AS c
    JOIN scenario.models AS m ON m.catalog = c.catalog AND m.id = c.id
    LEFT JOIN scenario.model_details AS d ON d.catalog = m.catalog AND d.id = m.id
    LEFT JOIN syncer.detail_failure AS f ON f.catalog = m.catalog AND f.id = m.id AND f.listed_hash = m.content_hash
    WHERE c.catalog = $1 AND m.removed_at IS NULL AND d.listed_hash IS DISTINCT FROM m.content_hash AND f.id IS NULL
) AS o ON true
ORDER BY o.id
