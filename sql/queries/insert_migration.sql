-- Record a migration, in the transaction that applied it.
-- $1 integer  number
-- $2 text     name
-- $3 text     checksum, hexadecimal SHA-256
-- $4 integer  oldest compatible migration, a migration number
INSERT INTO syncer.migration (number, name, checksum, oldest_compatible)
VALUES ($1, $2, $3, $4);
