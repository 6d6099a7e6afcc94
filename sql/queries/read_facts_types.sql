-- How many live models of each type the mirror holds.
-- $1 catalog text
SELECT coalesce(type, '') AS type, count(*) AS models
FROM scenario.models
WHERE catalog = $1 AND removed_at IS NULL
GROUP BY 1
