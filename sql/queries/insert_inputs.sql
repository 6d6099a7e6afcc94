-- Read the input form of one model out of its details.
-- $1 catalog text · $2 id text. Index: model_details_pkey.
INSERT INTO scenario.model_inputs
    (catalog, id, position, name, type, kind, label, is_required, default_value, minimum, maximum, allowed_values,
    has_cost_impact, body)
SELECT
    d.catalog, d.id, f.position, f.name, f.type, f.kind, f.label, f.is_required, f.default_value, f.minimum, f.maximum,
    f.allowed_values, f.has_cost_impact, f.field
FROM scenario.model_details AS d
CROSS JOIN LATERAL syncer.input_fields(d.body) AS f
WHERE d.catalog = $1 AND d.id = $2
