-- The newest change, 0 without any: what comes later has a greater id. Index: model_changes_pkey, its end.
SELECT coalesce(max(change_id), 0) FROM scenario.model_changes
