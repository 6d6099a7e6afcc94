-- Remember what the catalog is filled from.
-- $1 catalog text · $2 pin text · $3 the pin it takes the place of text, NULL for none
UPDATE syncer.catalog SET pin = $2 WHERE catalog = $1 AND pin IS NOT DISTINCT FROM $3
