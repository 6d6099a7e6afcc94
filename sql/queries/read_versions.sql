-- Every live model of a catalog with what tells its version; the demo compares it with the source.
-- $1 catalog text. Reads the whole catalog on purpose.
SELECT id, name, type, updated_at, changed_at
FROM scenario.live_models
WHERE catalog = $1
