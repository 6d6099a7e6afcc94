-- The next changes, in order; none at the end. A greater change_id never becomes visible before a smaller one, so whoever remembers the
-- last one read and asks again misses none.
-- $1 change_id bigint of the last one read, 0 for the beginning · $2 bigint: at most so many · $3 bigint: and at most so many bytes of
-- before and after, as they are stored (compressed), but for the first, which may have any size
-- Index: model_changes_pkey, entered by change_id. Catalogs are told apart by the reader: among the changes of others, the next
-- one of a quiet catalog may be far away.
SELECT change_id, catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at
FROM (
    SELECT
        *,
        row_number() OVER in_order AS place,
        sum(coalesce(pg_column_size(before), 0) + coalesce(pg_column_size(after), 0)) OVER in_order AS stored_bytes
    FROM scenario.model_changes
    WHERE change_id > $1
    WINDOW in_order AS (ORDER BY change_id ROWS UNBOUNDED PRECEDING)
    ORDER BY change_id
    LIMIT $2
) AS batch
WHERE place = 1 OR stored_bytes <= $3
ORDER BY change_id
