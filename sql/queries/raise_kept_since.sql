-- Say that changes of some age are kept no longer, before the first of them goes; no row: there are none.
-- $1 integer  days that a change is kept
-- Returns the greatest change_id of that age. What is raised stays raised, though $1 be greater the next time.
-- Index: model_changes_committed_at_idx.
UPDATE syncer.history AS h
SET kept_since = greatest(h.kept_since, old.cutoff), dropped_id = greatest(h.dropped_id, old.change_id)
FROM (
    SELECT c.change_id, cut.cutoff
    FROM (SELECT clock_timestamp() - make_interval(days => $1) AS cutoff) AS cut
    CROSS JOIN LATERAL (
        SELECT l.change_id
        FROM scenario.model_changes AS l
        WHERE l.committed_at <= cut.cutoff
        ORDER BY l.committed_at DESC, l.change_id DESC
        LIMIT 1
    ) AS c
) AS old
RETURNING old.change_id
