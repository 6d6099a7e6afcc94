-- The oldest change that is kept and the newest; one row, of NULLs where there is none.
-- Index: model_changes_pkey, from both ends.
SELECT
    (SELECT change_id FROM scenario.model_changes ORDER BY change_id LIMIT 1) AS oldest_id,
    (SELECT committed_at FROM scenario.model_changes ORDER BY change_id LIMIT 1) AS oldest_committed_at,
    (SELECT change_id FROM scenario.model_changes ORDER BY change_id DESC LIMIT 1) AS newest_id
