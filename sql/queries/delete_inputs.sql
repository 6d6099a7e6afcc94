-- Remove the input form of one model, before another one takes its place.
-- $1 catalog text · $2 id text. Index: model_inputs_pkey.
DELETE FROM scenario.model_inputs WHERE catalog = $1 AND id = $2
