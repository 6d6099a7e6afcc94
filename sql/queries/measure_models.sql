-- How many bytes each row of export_models takes, in its order: so that no more is fetched at once than there is room for. The body as
-- it is stored, from which the other columns come and nothing but volatile values is left out: what is fetched has about twice as many.
-- $1 catalogs, $2 since, $3 after: as for export_models
-- Index: models_pkey gives the order (see avoid_sorting); reads the catalogs whole, through a cursor.
SELECT octet_length(s.body::text)
FROM scenario.known_models AS m
INNER JOIN scenario.models AS s ON s.catalog = m.catalog AND s.id = m.id
WHERE ($1::text[] IS NULL OR m.catalog = ANY ($1))
    AND CASE
        WHEN $3::bigint IS NOT NULL THEN EXISTS (
            SELECT FROM scenario.model_changes AS c
            WHERE c.catalog = m.catalog AND c.id = m.id AND c.change_id > $3
        )
        WHEN $2::timestamptz IS NOT NULL THEN m.changed_at >= $2 OR m.removed_at >= $2
        ELSE m.removed_at IS NULL
    END
ORDER BY m.catalog, m.id
