-- The models that changed or went last, for the status page; only reads.
-- $1 how many bigint. Enters models_updated_at_idx and models_removed_at_idx from their ends, catalog by catalog.
-- A removal leaves no trace in the source's time: updated_at is then when it was confirmed, by the database's clock.
SELECT
    m.catalog, m.id, m.name, m.type,
    CASE
        WHEN m.removed_at IS NOT NULL THEN 'removed'
        WHEN m.changed_at = m.first_seen_at THEN 'new'
        ELSE 'updated'
    END AS what,
    coalesce(m.removed_at, m.updated_at) AS updated_at,
    coalesce(m.removed_at, m.changed_at) AS changed_at,
    m.body #>> '{thumbnail,url}' AS thumbnail_url
FROM syncer.catalog AS c
CROSS JOIN LATERAL (
    SELECT listed.*
    FROM (
        SELECT *
        FROM scenario.models AS newest
        WHERE newest.catalog = c.catalog
        ORDER BY newest.updated_at DESC
        LIMIT $1
    ) AS listed
    WHERE listed.removed_at IS NULL
    UNION ALL
    (
        SELECT *
        FROM scenario.models AS gone
        WHERE gone.catalog = c.catalog AND gone.removed_at IS NOT NULL
        ORDER BY gone.removed_at DESC
        LIMIT $1
    )
) AS m
WHERE c.retired_at IS NULL
ORDER BY coalesce(m.removed_at, m.updated_at) DESC, m.catalog, m.id
LIMIT $1
