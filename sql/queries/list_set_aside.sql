-- Which of these records are in quarantine.
-- $1 catalog text · $2 keys text[]
SELECT key FROM syncer.quarantine WHERE catalog = $1 AND key = ANY ($2::text[])
