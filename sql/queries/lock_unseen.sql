-- Lock the models that a sweep is about to remove, in key order.
-- $1 cycle_id bigint
WITH locked AS (
    SELECT m.id
    FROM scenario.models AS m
    WHERE m.catalog = (SELECT c.catalog FROM syncer.cycle AS c WHERE c.cycle_id = $1)
        AND m.id IN (SELECT u.id FROM syncer.unseen_models($1) AS u)
    ORDER BY m.id
    FOR NO KEY UPDATE
)
SELECT count(*) FROM locked
