-- Open quarantine of some catalogs.
-- $1 catalogs text[]
SELECT count(*) FROM syncer.quarantine WHERE catalog = ANY ($1::text[]) AND NOT dismissed
