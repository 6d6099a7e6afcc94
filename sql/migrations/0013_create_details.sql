-- What GET /models/{id} shows of a model and no list does, for catalogs that ask for it (details = true).
CREATE TABLE scenario.model_details (
    catalog text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    body jsonb NOT NULL,
    content_hash bytea NOT NULL,
    listed_hash bytea NOT NULL,
    source_updated_at timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT model_details_pkey PRIMARY KEY (catalog, id)
);
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) THEN
        ALTER TABLE scenario.model_details ALTER COLUMN body SET COMPRESSION lz4;
    END IF;
END
$$;
COMMENT ON TABLE scenario.model_details IS
    'The whole record of a model, with what no list carries (inputs, uiConfig, all training images). Removed models keep '
    'theirs; scenario.live_model_details hides them.';
COMMENT ON COLUMN scenario.model_details.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_details.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_details.body IS
    'The record as retrieved, with secrets redacted and URL signatures cut; volatile values are as of changed_at.';
COMMENT ON COLUMN scenario.model_details.content_hash IS 'Hash of its stable content, as in scenario.models.';
COMMENT ON COLUMN scenario.model_details.listed_hash IS
    'content_hash of the row of scenario.models for which it was asked; another one there means that it is out of date.';
COMMENT ON COLUMN scenario.model_details.source_updated_at IS 'updatedAt of the record.';
COMMENT ON COLUMN scenario.model_details.fetched_at IS 'When it was last asked for (database clock).';
COMMENT ON COLUMN scenario.model_details.changed_at IS 'When its content last changed here (database clock).';

CREATE TABLE scenario.model_inputs (
    catalog text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    name text,
    type text,
    kind text,
    label text,
    is_required boolean,
    default_value jsonb,
    minimum numeric,
    maximum numeric,
    allowed_values jsonb,
    has_cost_impact boolean,
    body jsonb NOT NULL,
    CONSTRAINT model_inputs_pkey PRIMARY KEY (catalog, id, position),
    CONSTRAINT model_inputs_model_fkey FOREIGN KEY (catalog, id)
        REFERENCES scenario.model_details (catalog, id) ON DELETE CASCADE,
    CONSTRAINT model_inputs_position_positive CHECK (position > 0)
);
CREATE INDEX model_inputs_name_idx ON scenario.model_inputs (name);
COMMENT ON TABLE scenario.model_inputs IS 'The input form of custom models, one row per field, in the order of the form.';
COMMENT ON COLUMN scenario.model_inputs.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_inputs.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_inputs.position IS 'Place of the field in the form, from 1.';
COMMENT ON COLUMN scenario.model_inputs.name IS 'Name under which a generation takes the value.';
COMMENT ON COLUMN scenario.model_inputs.type IS 'Type of the value as the source spells it, e.g. string, number, file.';
COMMENT ON COLUMN scenario.model_inputs.kind IS 'Of files: image, video, audio, …';
COMMENT ON COLUMN scenario.model_inputs.label IS 'What people are shown.';
COMMENT ON COLUMN scenario.model_inputs.is_required IS
    'Whether it is always required; false where it is so under conditions only (body has them) or not at all.';
COMMENT ON COLUMN scenario.model_inputs.default_value IS 'Taken when nothing is given; NULL: none is stated.';
COMMENT ON COLUMN scenario.model_inputs.minimum IS 'Smallest number allowed; NULL: none is stated.';
COMMENT ON COLUMN scenario.model_inputs.maximum IS 'Greatest number allowed; NULL: none is stated.';
COMMENT ON COLUMN scenario.model_inputs.allowed_values IS 'The values to choose from, as a JSON array; NULL: any.';
COMMENT ON COLUMN scenario.model_inputs.has_cost_impact IS 'Whether the value changes the price of a generation.';
COMMENT ON COLUMN scenario.model_inputs.body IS 'The field as the source describes it.';

CREATE TABLE syncer.detail_failure (
    catalog text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    listed_hash bytea NOT NULL,
    reason text NOT NULL,
    tries integer NOT NULL,
    failed_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    CONSTRAINT detail_failure_pkey PRIMARY KEY (catalog, id),
    CONSTRAINT detail_failure_tries_positive CHECK (tries > 0),
    CONSTRAINT detail_failure_retried_later CHECK (retry_at > failed_at)
);
CREATE INDEX detail_failure_retry_at_idx ON syncer.detail_failure (catalog, retry_at);
COMMENT ON TABLE syncer.detail_failure IS 'Models whose details could not be had; the row goes when they can.';
COMMENT ON COLUMN syncer.detail_failure.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN syncer.detail_failure.id IS 'The model''s id at the source.';
COMMENT ON COLUMN syncer.detail_failure.listed_hash IS
    'content_hash of the row of scenario.models for which it was asked; when that changes it is asked for again at once.';
COMMENT ON COLUMN syncer.detail_failure.reason IS 'What was wrong, without secrets.';
COMMENT ON COLUMN syncer.detail_failure.tries IS 'How often it was asked for under that listed_hash.';
COMMENT ON COLUMN syncer.detail_failure.failed_at IS 'When it was asked for last (database clock).';
COMMENT ON COLUMN syncer.detail_failure.retry_at IS 'When it is asked for again: each wait is twice as long, up to a day.';

CREATE FUNCTION syncer.input_fields(body jsonb)
RETURNS TABLE (
    "position" integer, name text, type text, kind text, label text, is_required boolean, default_value jsonb,
    minimum numeric, maximum numeric, allowed_values jsonb, has_cost_impact boolean, field jsonb
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT
    f.place::integer, syncer.as_text(f.field -> 'name'), syncer.as_text(f.field -> 'type'),
    syncer.as_text(f.field -> 'kind'), syncer.as_text(f.field -> 'label'),
    CASE jsonb_typeof(f.field -> 'required')
        WHEN 'boolean' THEN (f.field -> 'required')::boolean
        WHEN 'object' THEN coalesce(syncer.as_flag(f.field -> 'required' -> 'always'), false)
    END,
    nullif(f.field -> 'default', 'null'),
    syncer.json_number(f.field -> 'min'), syncer.json_number(f.field -> 'max'),
    CASE jsonb_typeof(f.field -> 'allowedValues') WHEN 'array' THEN f.field -> 'allowedValues' END,
    syncer.as_flag(f.field -> 'costImpact'), f.field
FROM jsonb_array_elements(
    CASE jsonb_typeof(body -> 'inputs') WHEN 'array' THEN body -> 'inputs' ELSE '[]' END
) WITH ORDINALITY AS f (field, place);
END;
COMMENT ON FUNCTION syncer.input_fields IS
    'The input form in a record, by the rules of scenario.model_inputs; what is of another type than described is NULL.';

CREATE VIEW scenario.live_model_details AS
SELECT
    d.catalog, d.id, m.name, m.type, m.body AS listed, syncer.stable_body(d.body) AS body, d.source_updated_at,
    d.fetched_at, d.changed_at, d.listed_hash = m.content_hash AS is_current
FROM scenario.model_details AS d
JOIN scenario.live_models AS m USING (catalog, id);
COMMENT ON VIEW scenario.live_model_details IS
    'Details of live models, without volatile values. Filled for catalogs with details = true.';
COMMENT ON COLUMN scenario.live_model_details.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.live_model_details.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.live_model_details.name IS 'Display name, as listed.';
COMMENT ON COLUMN scenario.live_model_details.type IS 'Model type, as listed.';
COMMENT ON COLUMN scenario.live_model_details.listed IS 'The record as listed.';
COMMENT ON COLUMN scenario.live_model_details.body IS 'The record as retrieved, with what no list carries.';
COMMENT ON COLUMN scenario.live_model_details.source_updated_at IS 'updatedAt of the record as retrieved.';
COMMENT ON COLUMN scenario.live_model_details.fetched_at IS 'When it was last asked for (database clock).';
COMMENT ON COLUMN scenario.live_model_details.changed_at IS 'When its content last changed here (database clock).';
COMMENT ON COLUMN scenario.live_model_details.is_current IS
    'Whether the listed record is still the one for which it was asked; if not, it is asked for again.';

CREATE VIEW scenario.live_model_inputs AS
SELECT
    i.catalog, i.id, m.name AS model_name, i.position, i.name, i.type, i.kind, i.label, i.is_required, i.default_value,
    i.minimum, i.maximum, i.allowed_values, i.has_cost_impact, i.body
FROM scenario.model_inputs AS i
JOIN scenario.live_models AS m USING (catalog, id);
COMMENT ON VIEW scenario.live_model_inputs IS 'The input forms of live custom models, one row per field.';
COMMENT ON COLUMN scenario.live_model_inputs.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.live_model_inputs.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.live_model_inputs.model_name IS 'Display name of the model, as listed.';
COMMENT ON COLUMN scenario.live_model_inputs.position IS 'Place of the field in the form, from 1.';
COMMENT ON COLUMN scenario.live_model_inputs.name IS 'Name under which a generation takes the value.';
COMMENT ON COLUMN scenario.live_model_inputs.type IS 'Type of the value as the source spells it, e.g. string, number, file.';
COMMENT ON COLUMN scenario.live_model_inputs.kind IS 'Of files: image, video, audio, …';
COMMENT ON COLUMN scenario.live_model_inputs.label IS 'What people are shown.';
COMMENT ON COLUMN scenario.live_model_inputs.is_required IS
    'Whether it is always required; false where it is so under conditions only (body has them) or not at all.';
COMMENT ON COLUMN scenario.live_model_inputs.default_value IS 'Taken when nothing is given; NULL: none is stated.';
COMMENT ON COLUMN scenario.live_model_inputs.minimum IS 'Smallest number allowed; NULL: none is stated.';
COMMENT ON COLUMN scenario.live_model_inputs.maximum IS 'Greatest number allowed; NULL: none is stated.';
COMMENT ON COLUMN scenario.live_model_inputs.allowed_values IS 'The values to choose from, as a JSON array; NULL: any.';
COMMENT ON COLUMN scenario.live_model_inputs.has_cost_impact IS 'Whether the value changes the price of a generation.';
COMMENT ON COLUMN scenario.live_model_inputs.body IS 'The field as the source describes it.';
