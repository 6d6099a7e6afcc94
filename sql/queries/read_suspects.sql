-- Where to ask a second time: the instants of models that a sweep did not see, or saw older than stored.
-- $1 cycle_id bigint · $2 limit bigint: more than that many instants are not worth a window each
SELECT DISTINCT created_at FROM (
    SELECT u.created_at FROM syncer.unseen_models($1) AS u
    UNION ALL
    SELECT m.created_at
    FROM syncer.seen AS s
    CROSS JOIN LATERAL unnest(s.older_ids) AS o (id)
    JOIN syncer.cycle AS c ON c.cycle_id = s.cycle_id
    JOIN scenario.models AS m ON m.catalog = c.catalog AND m.id = o.id COLLATE "C"
    WHERE s.cycle_id = $1 AND m.removed_at IS NULL
) AS suspect
LIMIT $2
