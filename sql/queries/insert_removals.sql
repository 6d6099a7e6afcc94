-- As insert_changes, for the models that this transaction has removed, however many: they stay on the server.
-- $1 catalog text
-- A row of ours was written by this transaction and removed in it: xmin alone comes back after 4 billion transactions.
-- Index: models_removed_at_idx by removed_at, so that neither live models nor old tombstones are read.
WITH written AS (
    INSERT INTO scenario.model_changes (catalog, id, operation, source_updated_at, committed_at)
    SELECT
        m.catalog, m.id, 'remove', m.updated_at,
        (
            SELECT greatest(
                clock_timestamp(),
                (SELECT l.committed_at FROM scenario.model_changes AS l ORDER BY l.change_id DESC LIMIT 1)
            )
        )
    FROM scenario.models AS m
    WHERE m.catalog = $1 AND m.removed_at >= now() AND m.xmin = pg_current_xact_id()::xid
    ORDER BY m.id
    RETURNING change_id
)
SELECT pg_notify('scenario_model_changes', max(change_id)::text) FROM written HAVING count(*) > 0
