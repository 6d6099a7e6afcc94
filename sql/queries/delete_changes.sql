-- Remove the next changes of a forgotten catalog; none left: 0 and NULL.
-- $1 text     catalog
-- $2 text     remove from this id on (inclusive: a model may have changed more often than $3); '' to begin
-- $3 integer  at most so many changes
-- Index: model_changes_model_idx; what is dead already is passed but for the last model's.
WITH gone AS (
    DELETE FROM scenario.model_changes
    WHERE change_id = ANY (ARRAY(
        SELECT c.change_id
        FROM scenario.model_changes AS c
        WHERE c.catalog = $1 AND c.id >= $2
        ORDER BY c.id, c.change_id
        LIMIT $3
    ))
    RETURNING id
)
SELECT count(*) AS removed, max(id) AS last_key FROM gone
