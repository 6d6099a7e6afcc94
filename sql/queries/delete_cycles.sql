-- Remove the next cycles of a forgotten catalog, and by cascade all that hangs on them (checkpoints);
-- none left: 0 and NULL.
-- $1 text     catalog
-- $2 bigint   remove after this cycle (exclusive); 0 to begin
-- $3 integer  at most so many cycles
-- Index: cycle_catalog_idx, as delete_models.sql.
WITH gone AS (
    DELETE FROM syncer.cycle
    WHERE catalog = $1 AND cycle_id > $2
        AND cycle_id <= (
            SELECT max(batch.cycle_id)
            FROM (
                SELECT c.cycle_id FROM syncer.cycle AS c
                WHERE c.catalog = $1 AND c.cycle_id > $2
                ORDER BY c.cycle_id
                LIMIT $3
            ) AS batch
        )
    RETURNING cycle_id
)
SELECT count(*) AS removed, max(cycle_id) AS last_key FROM gone
