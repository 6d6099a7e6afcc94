-- An example question for readers, shown by the demo with its answer. Reads every live model.
SELECT type, count(*) AS models,
       count(*) FILTER (WHERE access_restrictions = 0) AS on_free_plan
FROM scenario.live_models
GROUP BY type ORDER BY models DESC, type LIMIT 3
