-- Wait for the page in flight, and keep new ones out until this transaction ends; says whose it was.
-- $1 text  catalog
-- A statement of its own: take_lease.sql must look at the row and the clock after the wait.
-- Index: lease_pkey.
SELECT holder
FROM syncer.lease
WHERE catalog = $1
FOR UPDATE;
