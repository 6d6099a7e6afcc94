-- First statement of each writing transaction: the right to write, held to its end. No row: the lease
-- was lost, roll back.
-- $1 text    catalog
-- $2 bigint  epoch
-- FOR KEY SHARE lets renewals and other pages pass and makes a takeover (lock_lease.sql) wait.
-- Index: lease_pkey.
SELECT catalog
FROM syncer.lease
WHERE catalog = $1
    AND epoch = $2
    AND holder IS NOT NULL
FOR KEY SHARE;
