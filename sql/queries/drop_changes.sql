-- Remove the next changes that are kept no longer (raise_kept_since); none left: 0 and NULL.
-- $1 bigint   remove after this change_id (exclusive); 0 to begin
-- $2 bigint   and up to this one
-- $3 integer  at most so many
-- Index: model_changes_pkey, as delete_models.sql. Takes no turn: nobody who writes a change waits for it.
WITH gone AS (
    DELETE FROM scenario.model_changes
    WHERE change_id > $1
        AND change_id <= (
            SELECT max(batch.change_id)
            FROM (
                SELECT c.change_id FROM scenario.model_changes AS c
                WHERE c.change_id > $1 AND c.change_id <= $2
                ORDER BY c.change_id
                LIMIT $3
            ) AS batch
        )
    RETURNING change_id
)
SELECT count(*) AS removed, max(change_id) AS last_key FROM gone
