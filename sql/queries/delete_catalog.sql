-- Remove the row of a catalog that has lost everything else, what was ordered for it, and which details failed.
-- $1 text  catalog
-- A catalog that is configured is no business of this statement, whoever runs it.
-- Index: catalog_pkey.
WITH orders AS (
    DELETE FROM syncer.catalog_order WHERE catalog = $1
),
failures AS (
    DELETE FROM syncer.detail_failure WHERE catalog = $1
)
DELETE FROM syncer.catalog
WHERE catalog = $1 AND retired_at IS NOT NULL
