-- Remove the row of a catalog that has lost everything else.
-- $1 text  catalog
-- A catalog that is configured is no business of this statement, whoever runs it.
-- Index: catalog_pkey.
DELETE FROM syncer.catalog
WHERE catalog = $1 AND retired_at IS NOT NULL
