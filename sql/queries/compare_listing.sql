-- Whether one answer that is the whole listing tells of removals or of versions older than ours; only reads.
-- $1 catalog text · $2 ids text[] of all records listed
-- $3 ids text[] of the usable ones · $4 updated_at timestamptz[] of those, in the same order
SELECT
    (
        SELECT count(*) FROM scenario.models AS m
        WHERE m.catalog = $1 AND m.removed_at IS NULL AND m.id <> ALL ($2::text[])
    ) AS unlisted,
    EXISTS (
        SELECT FROM unnest($3::text[], $4::timestamptz[]) AS p (id, updated_at)
        JOIN scenario.models AS m ON m.catalog = $1 AND m.id = p.id COLLATE "C"
        WHERE m.removed_at IS NULL AND m.updated_at > p.updated_at
    )
    OR EXISTS (
        SELECT FROM syncer.quarantine AS q WHERE q.catalog = $1 AND q.key <> ALL ($2::text[])
    ) AS has_others
