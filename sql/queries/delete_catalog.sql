-- Remove the row of a catalog that has lost everything else, and what was ordered for it.
-- $1 text  catalog
-- A catalog that is configured is no business of this statement, whoever runs it.
-- Index: catalog_pkey.
WITH orders AS (
    DELETE FROM syncer.catalog_order WHERE catalog = $1
)
DELETE FROM syncer.catalog
WHERE catalog = $1 AND retired_at IS NOT NULL
