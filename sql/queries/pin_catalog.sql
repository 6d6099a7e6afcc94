-- Remember what the catalog is filled from.
-- $1 catalog text · $2 pin text
UPDATE syncer.catalog SET pin = $2 WHERE catalog = $1 AND pin IS NULL
