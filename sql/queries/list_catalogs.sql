-- Every catalog that the database knows: when it was retired, and when it was last complete.
-- Index: none; a handful of rows.
SELECT catalog, retired_at, last_complete_at
FROM syncer.catalog
ORDER BY catalog
