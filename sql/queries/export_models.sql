-- What somebody takes away: the live models, or all that changed or went since a time or after a change, tombstones included; in key order.
-- $1 catalogs text[], NULL: all · $2 since timestamptz · $3 after bigint, a change_id; $2 and $3 NULL: the live models
-- Index: models_pkey gives the order (see avoid_sorting); reads the catalogs whole, through a cursor.
SELECT
    m.catalog, m.id, m.name, m.type, m.privacy, m.status, m.source, m.custom, m.tags, m.capabilities, m.collection_ids,
    m.author_id, m.owner_id, m.parent_model_id, m.short_description, m.access_restrictions, m.training_images_number,
    m.thumbnail_asset_id, m.created_at, m.updated_at, m.first_seen_at, m.changed_at, m.removed_at, m.removed_reason, m.body
FROM scenario.known_models AS m
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
