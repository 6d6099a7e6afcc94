-- Remove the next models of a forgotten catalog, tombstones included; none left: 0 and NULL.
-- $1 text     catalog
-- $2 text     remove after this id (exclusive); '' to begin
-- $3 integer  at most so many models
-- From key to key, as a scan from the beginning would pass all that is already dead, each time.
-- Index: models_pkey, a range of $3 rows, read once to find its end and once to remove it.
WITH gone AS (
    DELETE FROM scenario.models
    WHERE catalog = $1 AND id > $2
        AND id <= (
            SELECT max(batch.id)
            FROM (
                SELECT m.id FROM scenario.models AS m
                WHERE m.catalog = $1 AND m.id > $2
                ORDER BY m.id
                LIMIT $3
            ) AS batch
        )
    RETURNING id
)
SELECT count(*) AS removed, max(id) AS last_key FROM gone
