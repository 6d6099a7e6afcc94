-- Ask whether the migrator's bookkeeping exists; false on an empty database.
SELECT to_regclass('syncer.migration') IS NOT NULL AS is_there;
