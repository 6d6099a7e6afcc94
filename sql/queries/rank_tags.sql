-- An example question for readers, shown by the demo with its answer. Reads every live model.
SELECT tag, count(*) AS models
FROM scenario.model_tags
GROUP BY tag ORDER BY models DESC, tag LIMIT 3
