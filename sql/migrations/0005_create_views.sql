-- The contract for readers: tables may grow columns, these names stay.
CREATE VIEW scenario.live_models AS
SELECT
    m.catalog, m.id, m.name, m.type, m.privacy, m.status, m.source, m.custom, m.tags, m.capabilities,
    m.collection_ids, m.author_id, m.owner_id, m.parent_model_id, m.short_description,
    m.access_restrictions, m.training_images_number, m.thumbnail_asset_id, m.created_at, m.updated_at,
    m.body - ARRAY['trainingProgress', 'performanceStats'] AS body,
    m.content_hash, m.first_seen_at, m.changed_at
FROM scenario.models AS m
WHERE m.removed_at IS NULL
    AND NOT EXISTS (
        SELECT FROM syncer.catalog AS c
        WHERE c.catalog = m.catalog AND c.retired_at IS NOT NULL
    );
COMMENT ON VIEW scenario.live_models IS
    'Models that the source lists now, of configured catalogs; body without its volatile parts.';

CREATE VIEW scenario.model_tags AS
SELECT DISTINCT m.catalog, m.id, tag
FROM scenario.live_models AS m
CROSS JOIN LATERAL unnest(m.tags) AS t (tag);
COMMENT ON VIEW scenario.model_tags IS 'One row per live model and tag.';

CREATE VIEW scenario.model_capabilities AS
SELECT DISTINCT m.catalog, m.id, capability
FROM scenario.live_models AS m
CROSS JOIN LATERAL unnest(m.capabilities) AS t (capability);
COMMENT ON VIEW scenario.model_capabilities IS 'One row per live model and capability.';

CREATE VIEW scenario.sync_status AS
SELECT
    c.catalog,
    CASE
        WHEN c.retired_at IS NOT NULL THEN 'retired'
        WHEN c.blocked THEN 'blocked'
        WHEN open_cycle.kind IS NOT NULL THEN open_cycle.kind
        WHEN c.backfilled_at IS NULL THEN 'new'
        ELSE 'idle'
    END AS phase,
    c.watermark,
    greatest(c.head, open_cycle.ceiling) AS head,
    greatest(extract(epoch FROM greatest(c.head, open_cycle.ceiling) - c.watermark), 0)::float8 AS lag_s,
    extract(epoch FROM clock_timestamp() - c.last_complete_at)::float8 AS freshness_s,
    coalesce(counted.live, 0) AS live_models,
    coalesce(counted.removed, 0) AS removed_models,
    (
        SELECT count(*) FROM syncer.quarantine AS q
        WHERE q.catalog = c.catalog AND NOT q.dismissed
    ) AS quarantined_models,
    c.removals_waiting
FROM syncer.catalog AS c
LEFT JOIN LATERAL (
    SELECT cycle.kind, cycle.ceiling
    FROM syncer.cycle AS cycle
    WHERE cycle.catalog = c.catalog AND cycle.finished_at IS NULL
    ORDER BY cycle.cycle_id DESC
    LIMIT 1
) AS open_cycle ON true
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE m.removed_at IS NULL) AS live,
        count(*) FILTER (WHERE m.removed_at IS NOT NULL) AS removed
    FROM scenario.models AS m
    WHERE m.catalog = c.catalog
) AS counted ON true;
COMMENT ON VIEW scenario.sync_status IS
    'One row per catalog: how current the mirror is. lag_s: head minus watermark; freshness_s: since the last complete cycle.';
