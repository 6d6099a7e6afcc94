-- How many models came and went on each day, for the status page; only reads.
-- $1 pages to read at most float8. Reads the whole table where it has no more pages than that, else
-- evenly spread ones, the same each time while the table stays as it is; share is their part.
-- An index on either column would cost each write more than this costs whoever looks.
WITH plan AS MATERIALIZED (
    SELECT least(1, $1 / greatest(pg_relation_size('scenario.models') / 8192.0, 1))::float8 AS share
),
sampled AS MATERIALIZED (
    SELECT
        date_trunc('day', m.first_seen_at, 'UTC')::date AS came_on,
        date_trunc('day', m.removed_at, 'UTC')::date AS went_on
    FROM scenario.models AS m TABLESAMPLE system ((SELECT 100 * share FROM plan)) REPEATABLE (1)
    WHERE EXISTS (
        SELECT FROM syncer.catalog AS c WHERE c.catalog = m.catalog AND c.retired_at IS NULL
    )
)
SELECT d.day, sum(d.came) AS came, sum(d.went) AS went, (SELECT share FROM plan) AS share
FROM (
    SELECT came_on AS day, count(*) AS came, 0::bigint AS went FROM sampled GROUP BY came_on
    UNION ALL
    SELECT went_on, 0, count(*) FROM sampled WHERE went_on IS NOT NULL GROUP BY went_on
) AS d
GROUP BY d.day
ORDER BY d.day
