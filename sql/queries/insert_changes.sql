-- The last statement of a transaction that changed models: all their changes. Take the turn first (lock_changes).
-- $1 catalog text · $2 ids text[] · $3 operations text[] · $4, $5 before and after jsonb[], NULL without fields
-- $6 updated_at timestamptz[] of the version that each brought; all in one order, which the change ids take.
-- A clock that was set back does not: a change is never dated before the one that precedes it.
-- Index: model_changes_pkey, its end.
WITH written AS (
    INSERT INTO scenario.model_changes
        (catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at)
    SELECT
        $1, c.id, c.operation,
        CASE
            WHEN c.before IS NOT NULL THEN ARRAY(
                SELECT f.name COLLATE "C"
                FROM (SELECT jsonb_object_keys(c.before) UNION SELECT jsonb_object_keys(c.after)) AS f (name)
                ORDER BY 1
            )
        END,
        c.before, c.after, c.updated_at,
        (
            SELECT greatest(
                clock_timestamp(),
                (SELECT l.committed_at FROM scenario.model_changes AS l ORDER BY l.change_id DESC LIMIT 1)
            )
        )
    FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::timestamptz[]) WITH ORDINALITY
        AS c (id, operation, before, after, updated_at, position)
    ORDER BY c.position
    RETURNING change_id
)
SELECT pg_notify('scenario_model_changes', max(change_id)::text) FROM written
