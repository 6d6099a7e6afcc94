-- Remove the details of the next models of a forgotten catalog; as delete_models.
-- $1 text catalog · $2 text after this id (exclusive) · $3 integer at most so many
-- Index: model_details_pkey, a range of $3 rows.
WITH gone AS (
    DELETE FROM scenario.model_details
    WHERE catalog = $1 AND id > $2
        AND id <= (
            SELECT max(batch.id)
            FROM (
                SELECT d.id FROM scenario.model_details AS d
                WHERE d.catalog = $1 AND d.id > $2
                ORDER BY d.id
                LIMIT $3
            ) AS batch
        )
    RETURNING id
)
SELECT count(*) AS removed, max(id) AS last_key FROM gone
