-- What the guard of removals looks at.
-- $1 catalog text · $2 cycle_id bigint. Reads the whole catalog on purpose.
SELECT
    (SELECT count(*) FROM syncer.unseen_models($2)) AS absent,
    count(*) FILTER (
        WHERE removed_at > clock_timestamp() - interval '24 hours' AND removed_reason <> 'deleted'
    ) AS recent,
    count(*) FILTER (WHERE removed_at IS NULL) AS live,
    NOT EXISTS (
        SELECT FROM syncer.seen WHERE cycle_id = $2 AND cardinality(hashes) > 0
    ) AS is_listing_empty
FROM scenario.models
WHERE catalog = $1
