-- When a catalog's last cycle ended, whichever way.
-- $1 catalog text
SELECT last_cycle_finished_at FROM syncer.catalog WHERE catalog = $1
