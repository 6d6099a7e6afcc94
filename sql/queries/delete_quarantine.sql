-- Remove the next quarantined models of a forgotten catalog; none left: 0 and NULL.
-- $1 text     catalog
-- $2 text     remove after this key (exclusive); '' to begin
-- $3 integer  at most so many
-- Index: quarantine_pkey, as delete_models.sql.
WITH gone AS (
    DELETE FROM syncer.quarantine
    WHERE catalog = $1 AND key > $2
        AND key <= (
            SELECT max(batch.key)
            FROM (
                SELECT q.key FROM syncer.quarantine AS q
                WHERE q.catalog = $1 AND q.key > $2
                ORDER BY q.key
                LIMIT $3
            ) AS batch
        )
    RETURNING key
)
SELECT count(*) AS removed, max(key) AS last_key FROM gone
