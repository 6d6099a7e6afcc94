-- What waits for an operator in some catalogs.
-- $1 catalogs text[]
SELECT
    (
        SELECT count(*) FROM syncer.quarantine WHERE catalog = ANY ($1::text[]) AND NOT dismissed
    ) AS quarantined,
    (
        SELECT coalesce(sum(removals_waiting), 0) FROM syncer.catalog WHERE catalog = ANY ($1::text[])
    )::bigint AS removals_waiting
