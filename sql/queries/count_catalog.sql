-- What 'syncer forget' would remove. Dismissed models count: they are rows like the others.
-- $1 text  catalog
-- Index: models_pkey and quarantine_pkey, unless the catalog is most of the table.
SELECT
    counted.live AS live_models,
    counted.removed AS removed_models,
    (SELECT count(*) FROM syncer.quarantine AS q WHERE q.catalog = $1) AS quarantined_models
FROM (
    SELECT
        count(*) FILTER (WHERE m.removed_at IS NULL) AS live,
        count(*) FILTER (WHERE m.removed_at IS NOT NULL) AS removed
    FROM scenario.models AS m
    WHERE m.catalog = $1
) AS counted
