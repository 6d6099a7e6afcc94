-- How many live models a catalog holds, counting no further than a limit.
-- $1 catalog text · $2 limit bigint
SELECT count(*) FROM (
    SELECT FROM scenario.models WHERE catalog = $1 AND removed_at IS NULL LIMIT $2
) AS m
