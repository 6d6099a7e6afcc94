-- Names of the catalogs that this database knows, retired ones included; through a view that readers may use.
SELECT catalog FROM scenario.sync_status ORDER BY catalog
