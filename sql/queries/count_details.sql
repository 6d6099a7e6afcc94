-- How complete the details of some catalogs are; only reads, and reads all of their rows.
-- $1 catalogs text[]
SELECT
    m.catalog,
    count(*) AS wanted,
    count(*) FILTER (WHERE d.listed_hash = m.content_hash) AS stored,
    count(*) FILTER (WHERE d.listed_hash IS DISTINCT FROM m.content_hash AND f.id IS NOT NULL) AS failed
FROM scenario.models AS m
LEFT JOIN scenario.model_details AS d ON d.catalog = m.catalog AND d.id = m.id
LEFT JOIN syncer.detail_failure AS f ON f.catalog = m.catalog AND f.id = m.id AND f.listed_hash = m.content_hash
WHERE m.catalog = ANY ($1::text[]) AND m.removed_at IS NULL
GROUP BY m.catalog
