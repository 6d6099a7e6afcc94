-- An example question for readers, shown by the demo with its answer. Reads every live model.
SELECT name, type, access_restrictions AS plan, created_at::date AS created
FROM scenario.live_models
ORDER BY created_at DESC, id LIMIT 3
