-- What earlier checks found out about a source.
-- $1 source text
-- Index: finding_pkey.
SELECT key, value, first_found_at
FROM syncer.finding
WHERE source = $1
