-- How many live models carry each tag.
-- $1 catalog text
SELECT tag, count(*) AS models
FROM scenario.models CROSS JOIN LATERAL unnest(tags) AS t (tag)
WHERE catalog = $1 AND removed_at IS NULL
GROUP BY 1
