-- Some of the models that a sweep is about to remove, with what tells why they are gone.
-- $1 cycle_id bigint · $2 limit bigint
SELECT m.id, m.type, m.tags, m.collection_ids, m.status
FROM syncer.unseen_models($1) AS u
JOIN syncer.cycle AS c ON c.cycle_id = $1
JOIN scenario.models AS m ON m.catalog = c.catalog AND m.id = u.id
ORDER BY m.id
LIMIT $2
