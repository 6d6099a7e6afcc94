-- The models that the source changed last, for the status page; only reads.
-- $1 how many bigint. Enters models_updated_at_idx from its end, catalog by catalog.
SELECT
    m.catalog, m.id, m.name, m.type,
    CASE
        WHEN m.removed_at IS NOT NULL THEN 'removed'
        WHEN m.changed_at = m.first_seen_at THEN 'new'
        ELSE 'updated'
    END AS what,
    m.updated_at, m.changed_at, m.body #>> '{thumbnail,url}' AS thumbnail_url
FROM syncer.catalog AS c
CROSS JOIN LATERAL (
    SELECT *
    FROM scenario.models AS newest
    WHERE newest.catalog = c.catalog
    ORDER BY newest.updated_at DESC
    LIMIT $1
) AS m
WHERE c.retired_at IS NULL
ORDER BY m.updated_at DESC, m.catalog, m.id
LIMIT $1
