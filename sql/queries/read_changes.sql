-- The next changes, in order. A greater change_id never becomes visible before a smaller one, so whoever remembers the last one
-- read and asks again misses none.
-- $1 change_id bigint of the last one read, 0 for the beginning · $2 bigint: at most so many
-- Index: model_changes_pkey, entered by change_id. Catalogs are told apart by the reader: among the changes of others, the next
-- one of a quiet catalog may be far away.
SELECT change_id, catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at
FROM scenario.model_changes
WHERE change_id > $1
ORDER BY change_id
LIMIT $2
