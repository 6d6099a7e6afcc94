-- Views, functions and indexes for analysts. Stable names; nothing here is written by the daemon.
-- A view never raises, whatever shape a record has: a value of an unexpected type is NULL or is left out.
-- Functions have bodies that are bound when they are created (BEGIN ATOMIC) or that name pg_catalog only, so
-- a reader needs no right on schema syncer and no search_path.

-- A key of an index has to fit a page (2,704 bytes). Since 0012 a longer text is no type and no tag (it stays in
-- body); what an older build has stored goes the same way.
UPDATE scenario.models SET type = NULL WHERE pg_catalog.length(type) > 500;
UPDATE scenario.models SET tags = NULL
WHERE pg_catalog.octet_length(pg_catalog.array_to_string(tags, '')) > 500
    AND EXISTS (SELECT FROM pg_catalog.unnest(tags) AS t (tag) WHERE pg_catalog.length(tag) > 500);

-- Reading records of any shape ------------------------------------------------------------------------

CREATE FUNCTION syncer.json_number(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'number' THEN value::numeric END;
COMMENT ON FUNCTION syncer.json_number(jsonb) IS
    'A JSON number, exactly; NULL for any other value. Not float8, which refuses what JSON may hold.';

CREATE FUNCTION syncer.json_length(value jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'array' THEN jsonb_array_length(value) END;
COMMENT ON FUNCTION syncer.json_length(jsonb) IS 'How many items a JSON array has; NULL for any other value.';

CREATE FUNCTION syncer.json_items(value jsonb) RETURNS TABLE (item jsonb, place bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 2
BEGIN ATOMIC
SELECT e.item, e.place
FROM jsonb_array_elements(CASE WHEN jsonb_typeof(value) = 'array' THEN value END)
    WITH ORDINALITY AS e (item, place);
END;
COMMENT ON FUNCTION syncer.json_items(jsonb) IS 'The items of a JSON array with their places; none of any other value.';

CREATE FUNCTION syncer.json_words(value jsonb) RETURNS TABLE (word text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT DISTINCT e.item #>> '{}'
FROM syncer.json_items(CASE WHEN jsonb_typeof(value) = 'string' THEN '[]'::jsonb || value ELSE value END) AS e
WHERE jsonb_typeof(e.item) = 'string' AND btrim(e.item #>> '{}') <> '';
END;
COMMENT ON FUNCTION syncer.json_words(jsonb) IS
    'The texts of a JSON string or of an array of them, each once; blank ones and all else are left out.';

CREATE FUNCTION syncer.json_instant(value jsonb) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    -- With its zone, so that the answer hangs on no setting; not 'now' or 'infinity'.
    IF jsonb_typeof(value) = 'string'
        AND value #>> '{}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$'
    THEN
        RETURN (value #>> '{}')::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN data_exception THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION syncer.json_instant(jsonb) IS 'The instant that an ISO 8601 text with a zone names; NULL for any other value.';

CREATE FUNCTION syncer.stable_parameters(parameters jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
-- Not walked to the bottom, which could be 500 levels down: a nested value that holds a link anywhere goes whole.
SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}')
FROM jsonb_each(CASE WHEN jsonb_typeof(parameters) = 'object' THEN parameters END) AS p
WHERE p.value::text !~* '"http';
END;
COMMENT ON FUNCTION syncer.stable_parameters(jsonb) IS
    'Training parameters without those that are or hold links, which are signed anew; {} where there are none.';

-- Live models -------------------------------------------------------------------------------------------

CREATE VIEW scenario.known_models AS
SELECT
    m.catalog, m.id, m.name, m.type, m.privacy, m.status, m.source, m.custom, m.tags, m.capabilities,
    m.collection_ids, m.author_id, m.owner_id, m.parent_model_id, m.short_description,
    m.access_restrictions, m.training_images_number, m.thumbnail_asset_id, m.created_at, m.updated_at,
    syncer.stable_body(m.body) AS body,
    m.content_hash, m.first_seen_at, m.changed_at, m.removed_at, m.removed_reason
FROM scenario.models AS m
WHERE NOT EXISTS (
    SELECT FROM syncer.catalog AS c
    WHERE c.catalog = m.catalog AND c.retired_at IS NOT NULL
);
COMMENT ON VIEW scenario.known_models IS
    'As live_models, and what was removed: for whoever keeps a copy and has to hear of removals.';

CREATE OR REPLACE VIEW scenario.live_models AS
SELECT
    m.catalog, m.id, m.name, m.type, m.privacy, m.status, m.source, m.custom, m.tags, m.capabilities,
    m.collection_ids, m.author_id, m.owner_id, m.parent_model_id, m.short_description,
    m.access_restrictions, m.training_images_number, m.thumbnail_asset_id, m.created_at, m.updated_at,
    m.body, m.content_hash, m.first_seen_at, m.changed_at
FROM scenario.known_models AS m
WHERE m.removed_at IS NULL;

-- The live ones with the record as it is stored: the views below pick from it what never is volatile.
CREATE VIEW syncer.live_record AS
SELECT
    m.catalog, m.id, m.type, m.status, m.tags, m.access_restrictions, m.parent_model_id,
    m.training_images_number, m.body
FROM scenario.models AS m
WHERE m.removed_at IS NULL
    AND NOT EXISTS (
        SELECT FROM syncer.catalog AS c
        WHERE c.catalog = m.catalog AND c.retired_at IS NOT NULL
    );
COMMENT ON VIEW syncer.live_record IS 'Live models with the record as stored, volatile values included: for views only.';

-- What happened, without catalogs that are gone from the configuration.
CREATE VIEW syncer.shown_change AS
SELECT
    h.change_id, h.catalog, h.id, h.operation, h.changed_fields, h.before,
    (h.committed_at AT TIME ZONE 'UTC')::date AS day
FROM scenario.model_changes AS h
WHERE NOT EXISTS (
    SELECT FROM syncer.catalog AS c
    WHERE c.catalog = h.catalog AND c.retired_at IS NOT NULL
);
COMMENT ON VIEW syncer.shown_change IS 'Changes of configured catalogs with their UTC day: for views only.';

CREATE VIEW scenario.model_collections AS
SELECT DISTINCT m.catalog, m.id, t.collection_id
FROM scenario.live_models AS m
CROSS JOIN LATERAL unnest(m.collection_ids) AS t (collection_id);

-- Graph -------------------------------------------------------------------------------------------------

CREATE VIEW scenario.model_concepts AS
SELECT
    m.catalog, m.id, r.relation, r.position, r.target_id, r.scale, r.model_epoch,
    r.target_id = m.id AS is_self,
    CASE WHEN t.id IS NULL THEN 'unknown' WHEN t.removed_at IS NULL THEN 'live' ELSE 'removed' END AS target_state,
    t.id IS NULL OR t.removed_at IS NOT NULL AS is_dangling,
    t.name AS target_name,
    ARRAY(
        SELECT c.catalog
        FROM syncer.catalog AS c
        JOIN scenario.models AS o ON o.catalog = c.catalog AND o.id = r.target_id AND o.removed_at IS NULL
        WHERE c.retired_at IS NULL
        ORDER BY c.catalog
    ) AS live_in
FROM syncer.live_record AS m
CROSS JOIN LATERAL (
    SELECT
        'concept' AS relation, e.place::integer AS position,
        syncer.as_text(e.item -> 'modelId') COLLATE "C" AS target_id,
        syncer.json_number(e.item -> 'scale') AS scale,
        e.item ->> 'modelEpoch' AS model_epoch
    FROM syncer.json_items(m.body -> 'concepts') AS e
    UNION ALL
    SELECT 'parent', 1, m.parent_model_id COLLATE "C", NULL, NULL
    UNION ALL
    SELECT 'base', e.place::integer, syncer.as_text(e.item) COLLATE "C", NULL, NULL
    FROM syncer.json_items(m.body -> 'compliantModelIds') AS e
) AS r
LEFT JOIN scenario.models AS t ON t.catalog = m.catalog AND t.id = r.target_id
WHERE r.target_id <> '';

-- A tag 'deprecated' names no successor, 'deprecated:<id>' names one. The first says nothing beside the second.
CREATE FUNCTION syncer.successors(tags text[]) RETURNS TABLE (successor text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT s.successor
FROM (
    SELECT d.successor, count(d.successor) OVER () AS named
    FROM (
        SELECT DISTINCT nullif(btrim(substr(u.tag, 12)), '') AS successor
        FROM unnest(tags) AS u (tag)
        WHERE u.tag = 'deprecated' OR starts_with(u.tag, 'deprecated:')
    ) AS d
) AS s
WHERE s.successor IS NOT NULL OR s.named = 0;
END;
COMMENT ON FUNCTION syncer.successors(text[]) IS
    'What the tags of a deprecated model name as its successors; one NULL if they name none; no row if it is not deprecated.';

CREATE VIEW scenario.model_deprecations AS
SELECT
    m.catalog, m.id, d.successor_id,
    CASE
        WHEN d.successor_id IS NULL THEN NULL
        WHEN s.id IS NULL THEN 'unknown'
        WHEN s.removed_at IS NULL THEN 'live'
        ELSE 'removed'
    END AS successor_state,
    CASE WHEN NOT e.is_cycle AND NOT e.is_cut THEN e.id END AS final_id,
    CASE
        WHEN d.successor_id IS NULL THEN NULL
        WHEN e.is_cycle THEN 'cycle'
        WHEN e.is_cut THEN 'too long'
        WHEN f.id IS NULL THEN 'unknown'
        WHEN f.removed_at IS NULL THEN 'live'
        ELSE 'removed'
    END AS final_state,
    e.steps
FROM syncer.live_record AS m
CROSS JOIN LATERAL (
    SELECT o.successor COLLATE "C" AS successor_id FROM syncer.successors(m.tags) AS o
) AS d
LEFT JOIN scenario.models AS s ON s.catalog = m.catalog AND s.id = d.successor_id
LEFT JOIN LATERAL (
    WITH RECURSIVE chain (id, path, steps) AS (
        SELECT d.successor_id, ARRAY[m.id], 1
        WHERE d.successor_id IS NOT NULL
        UNION ALL
        SELECT n.id, h.path || h.id, h.steps + 1
        FROM chain AS h
        JOIN scenario.models AS t ON t.catalog = m.catalog AND t.id = h.id
        CROSS JOIN LATERAL (
            SELECT min(o.successor) COLLATE "C" AS id FROM syncer.successors(t.tags) AS o
        ) AS n
        WHERE n.id IS NOT NULL AND h.id <> ALL (h.path) AND h.steps <= 50
    )
    SELECT h.id, h.id = ANY (h.path) AS is_cycle, h.steps > 50 AS is_cut, least(h.steps, 50) AS steps
    FROM chain AS h
    ORDER BY h.steps DESC
    LIMIT 1
) AS e ON true
LEFT JOIN scenario.models AS f ON f.catalog = m.catalog AND f.id = e.id
-- Cheap, and all but a few models are done with.
WHERE strpos(array_to_string(m.tags, ' '), 'deprecated') > 0;

-- Types -------------------------------------------------------------------------------------------------

CREATE VIEW scenario.type_counts AS
SELECT
    m.catalog, m.type, count(*) AS models,
    min(m.created_at) AS first_created_at, max(m.created_at) AS last_created_at
FROM scenario.live_models AS m
GROUP BY m.catalog, m.type;

CREATE VIEW scenario.type_counts_daily AS
WITH known AS (
    SELECT
        h.catalog, h.day, h.operation,
        h.changed_fields @> ARRAY['type'] AS is_retyped,
        syncer.as_text(h.before -> 'type') AS type_before,
        -- Walking back from the row: what the next change of type found, else what the row says.
        CASE WHEN n.change_id IS NULL THEN m.type ELSE syncer.as_text(n.before -> 'type') END AS type_after
    FROM syncer.shown_change AS h
    JOIN scenario.models AS m ON m.catalog = h.catalog AND m.id = h.id
    LEFT JOIN LATERAL (
        SELECT l.change_id, l.before
        FROM scenario.model_changes AS l
        WHERE l.catalog = h.catalog AND l.id = h.id AND l.change_id > h.change_id
            AND l.changed_fields @> ARRAY['type']
        ORDER BY l.change_id
        LIMIT 1
    ) AS n ON true
    WHERE h.operation <> 'update' OR h.changed_fields @> ARRAY['type']
),
moved AS (
    SELECT k.catalog, k.day, k.type_after AS type, CASE WHEN k.operation = 'remove' THEN -1 ELSE 1 END AS models
    FROM known AS k
    UNION ALL
    SELECT k.catalog, k.day, k.type_before, -1
    FROM known AS k
    WHERE k.operation = 'update' AND k.is_retyped
),
netted AS (
    SELECT
        v.catalog, v.type, v.day,
        count(*) FILTER (WHERE v.models > 0) AS added, count(*) FILTER (WHERE v.models < 0) AS gone
    FROM moved AS v
    GROUP BY v.catalog, v.type, v.day
),
counted AS (
    SELECT m.catalog, m.type, count(*) AS models
    FROM syncer.live_record AS m
    GROUP BY m.catalog, m.type
),
named AS (
    SELECT catalog, type FROM netted UNION SELECT catalog, type FROM counted
),
span AS (
    SELECT h.catalog, min(h.day) AS first_day, greatest(max(h.day), (now() AT TIME ZONE 'UTC')::date) AS last_day
    FROM syncer.shown_change AS h
    GROUP BY h.catalog
)
SELECT
    o.catalog, d.day::date AS day, o.type,
    (coalesce(c.models, 0) - coalesce(
        sum(coalesce(n.added, 0) - coalesce(n.gone, 0)) OVER (
            PARTITION BY o.catalog, o.type
            ORDER BY d.day DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0
    ))::bigint AS models,
    coalesce(n.added, 0) AS added,
    coalesce(n.gone, 0) AS gone
FROM named AS o
JOIN span AS s ON s.catalog = o.catalog
CROSS JOIN LATERAL generate_series(s.first_day::timestamp, s.last_day::timestamp, interval '1 day') AS d (day)
LEFT JOIN netted AS n ON n.catalog = o.catalog AND n.day = d.day::date AND n.type IS NOT DISTINCT FROM o.type
LEFT JOIN counted AS c ON c.catalog = o.catalog AND c.type IS NOT DISTINCT FROM o.type;

-- Change by day -----------------------------------------------------------------------------------------

-- Rows lie in the order of their days, so that a few bytes for each range of pages serve, and writing costs nothing.
CREATE INDEX model_changes_day_idx ON scenario.model_changes
    USING brin (((committed_at AT TIME ZONE 'UTC')::date)) WITH (pages_per_range = 16, autosummarize = on);

CREATE VIEW scenario.changes_daily AS
SELECT
    h.catalog, h.day,
    count(*) FILTER (WHERE h.operation = 'insert') AS inserted,
    count(*) FILTER (WHERE h.operation = 'update') AS updated,
    count(*) FILTER (WHERE h.operation = 'remove') AS removed,
    count(*) FILTER (WHERE h.operation = 'restore') AS restored
FROM syncer.shown_change AS h
GROUP BY h.catalog, h.day;

CREATE FUNCTION syncer.joined_words(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT string_agg(w.word, ', ' ORDER BY w.word) FROM syncer.json_words(value) AS w;
END;
COMMENT ON FUNCTION syncer.joined_words(jsonb) IS 'syncer.json_words in one text; NULL where there are none.';

-- One text is the rule, and a plain expression is several times as fast as a query.
CREATE FUNCTION syncer.provider_of(body jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(body -> 'complianceMetadata' -> 'modelProvider') = 'string'
    THEN CASE
        WHEN btrim(body -> 'complianceMetadata' ->> 'modelProvider') <> ''
        THEN body -> 'complianceMetadata' ->> 'modelProvider'
    END
    ELSE syncer.joined_words(body -> 'complianceMetadata' -> 'modelProvider')
END;
COMMENT ON FUNCTION syncer.provider_of(jsonb) IS
    'complianceMetadata.modelProvider of a record; several of them in one text; NULL where it says nothing.';

CREATE VIEW scenario.provider_changes_daily AS
SELECT
    h.catalog, h.day, syncer.provider_of(m.body) AS provider,
    count(*) FILTER (WHERE h.operation = 'insert') AS inserted,
    count(*) FILTER (WHERE h.operation = 'update') AS updated,
    count(*) FILTER (WHERE h.operation = 'remove') AS removed,
    count(*) FILTER (WHERE h.operation = 'restore') AS restored
FROM syncer.shown_change AS h
LEFT JOIN scenario.models AS m ON m.catalog = h.catalog AND m.id = h.id
GROUP BY h.catalog, h.day, syncer.provider_of(m.body);

-- Compliance, plans, training ---------------------------------------------------------------------------

CREATE VIEW scenario.model_compliance AS
SELECT
    m.catalog, m.id,
    syncer.provider_of(m.body) AS provider,
    syncer.as_text(m.body -> 'complianceMetadata' -> 'maintainer') AS maintainer,
    syncer.as_text(m.body -> 'complianceMetadata' -> 'enterpriseStatus') AS enterprise_status,
    syncer.as_text(m.body -> 'complianceMetadata' -> 'dataProcessingComment') AS data_processing,
    ARRAY(
        SELECT w.word FROM syncer.json_words(m.body -> 'complianceMetadata' -> 'licenseTerms') AS w ORDER BY w.word
    ) AS licence_terms,
    ARRAY(
        SELECT w.word FROM syncer.json_words(m.body -> 'complianceMetadata' -> 'subProcessor') AS w ORDER BY w.word
    ) AS sub_processors
FROM syncer.live_record AS m;

CREATE VIEW scenario.model_licences AS
SELECT m.catalog, m.id, w.word AS licence_terms
FROM syncer.live_record AS m
CROSS JOIN LATERAL syncer.json_words(m.body -> 'complianceMetadata' -> 'licenseTerms') AS w;

CREATE VIEW scenario.model_sub_processors AS
SELECT m.catalog, m.id, w.word AS sub_processor
FROM syncer.live_record AS m
CROSS JOIN LATERAL syncer.json_words(m.body -> 'complianceMetadata' -> 'subProcessor') AS w;

CREATE VIEW scenario.model_plan_access AS
SELECT
    m.catalog, m.id, m.access_restrictions,
    CASE m.access_restrictions
        WHEN 0 THEN 'Free' WHEN 25 THEN 'Starter' WHEN 50 THEN 'Pro' WHEN 75 THEN 'Max' WHEN 100 THEN 'Enterprise'
    END AS plan,
    CASE
        WHEN m.access_restrictions <= 0 THEN 'Free'
        WHEN m.access_restrictions <= 25 THEN 'Starter'
        WHEN m.access_restrictions <= 50 THEN 'Pro'
        WHEN m.access_restrictions <= 75 THEN 'Max'
        WHEN m.access_restrictions <= 100 THEN 'Enterprise'
    END AS lowest_plan
FROM syncer.live_record AS m;

CREATE VIEW scenario.model_training AS
SELECT
    m.catalog, m.id, m.type, m.status, m.parent_model_id, m.training_images_number,
    syncer.json_length(m.body -> 'trainingImages') AS listed_images,
    syncer.json_length(m.body -> 'trainingImagePairs') AS image_pairs,
    syncer.json_length(m.body -> 'epochs') AS epochs,
    syncer.as_text(m.body -> 'epoch') AS chosen_epoch,
    syncer.json_number(m.body -> 'parameters' -> 'nbEpochs') AS planned_epochs,
    syncer.json_number(m.body -> 'parameters' -> 'nbRepeats') AS repeats,
    syncer.json_number(m.body -> 'parameters' -> 'batchSize') AS batch_size,
    syncer.json_number(m.body -> 'parameters' -> 'learningRate') AS learning_rate,
    syncer.json_number(m.body -> 'parameters' -> 'rank') AS rank,
    syncer.json_instant(m.body -> 'trainingStats' -> 'startedAt') AS started_at,
    syncer.json_instant(m.body -> 'trainingStats' -> 'endedAt') AS ended_at,
    syncer.json_number(m.body -> 'trainingStats' -> 'queueDuration') AS queue_duration,
    syncer.json_number(m.body -> 'trainingStats' -> 'trainDuration') AS train_duration,
    (
        SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}')
        FROM jsonb_each(syncer.stable_parameters(m.body -> 'parameters')) AS p
        WHERE (jsonb_typeof(p.value) IN ('number', 'boolean')
                OR jsonb_typeof(p.value) = 'string' AND p.value #>> '{}' !~ '^/|://')
            AND p.key !~* 'wandb'
    ) AS parameters
FROM syncer.live_record AS m
WHERE m.training_images_number > 0
    OR syncer.json_length(m.body -> 'trainingImages') > 0
    OR jsonb_typeof(m.body -> 'trainingStats') = 'object'
    OR syncer.stable_parameters(m.body -> 'parameters') <> '{}';

-- Freshness ---------------------------------------------------------------------------------------------

CREATE VIEW scenario.freshness AS
SELECT
    c.catalog,
    c.scope ->> 'privacy' AS privacy,
    c.last_complete_at AS as_of,
    clock_timestamp() - c.last_complete_at AS age,
    c.backfilled_at IS NOT NULL AS is_complete,
    c.backfilled_at,
    nullif(c.swept_at, '-infinity') AS compared_at,
    c.watermark,
    c.removals_waiting,
    q.models AS quarantined_models,
    c.verified_at,
    c.verify_differences,
    c.blocked AS is_blocked,
    array_remove(ARRAY[
        CASE WHEN c.backfilled_at IS NULL THEN 'the first backfill is not complete: models are missing' END,
        CASE WHEN c.blocked THEN 'the last cycle ended with an error that waiting does not mend: nothing new arrives' END,
        CASE
            WHEN c.removals_waiting > 0
            THEN c.removals_waiting || ' removals wait for an operator: these models are still shown as live'
        END,
        CASE WHEN q.models > 0 THEN q.models || ' models could not be stored and are missing or old' END,
        CASE
            WHEN c.verify_differences > 0
            THEN c.verify_differences || ' models differed from the source when it was last verified'
        END
    ], NULL) AS caveats
FROM syncer.catalog AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS models FROM syncer.quarantine AS u WHERE u.catalog = c.catalog AND NOT u.dismissed
) AS q
WHERE c.retired_at IS NULL;

-- Search ------------------------------------------------------------------------------------------------

CREATE FUNCTION syncer.search_document(name text, short_description text, tags text[]) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    -- Cut, because a tsvector may not exceed 1 MB and a record that is too long must still be stored.
    -- Split where the parser would see a host, a file or a number: 'Flux.1' is found by 'flux', 'gpt-image-1' by 'image'.
    -- replace() and not translate(), which takes longer than all of the rest.
    RETURN setweight(to_tsvector('pg_catalog.simple', replace(replace(replace(replace(
            left(coalesce(name, ''), 1000), '.', ' '), '-', ' '), '/', ' '), '_', ' ')), 'A')
        || setweight(to_tsvector('pg_catalog.simple', replace(replace(replace(replace(
            left(coalesce(array_to_string(tags, ' '), ''), 5000), '.', ' '), '-', ' '), '/', ' '), '_', ' ')), 'B')
        || setweight(to_tsvector('pg_catalog.simple', replace(replace(replace(replace(
            left(coalesce(short_description, ''), 20000), '.', ' '), '-', ' '), '/', ' '), '_', ' ')), 'C');
END
$$;
COMMENT ON FUNCTION syncer.search_document(text, text, text[]) IS
    'The words of a model, as they are: name (weight A), tags (B), short description (C). Configuration simple: names and '
    'tags are no English sentences, and stems are the query''s business. An index is built on it: it must not change.';

CREATE FUNCTION syncer.search_query(query text) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET client_min_messages = warning
AS $$
DECLARE
    -- Split as the document is; a hyphen before a word means 'without it', within one it is a blank.
    asked text := regexp_replace(
        replace(replace(replace(left(query, 400), '.', ' '), '/', ' '), '_', ' '), '(?<=[^\s"])-', ' ', 'g');
    words text := websearch_to_tsquery('pg_catalog.simple', asked)::text;
    stems text := websearch_to_tsquery('pg_catalog.english', asked)::text;
    lexeme constant text := '(''(?:[^'']|'''')+'')';
BEGIN
    -- 'a without b' is taken to the letter: the stem of b would leave out too little or too much.
    words := regexp_replace(words, lexeme, '\1:*', 'g');
    IF strpos(words, '!') > 0 THEN
        RETURN regexp_replace(words, '!' || lexeme || ':\*', '!\1', 'g')::tsquery;
    END IF;
    -- English turns a final y into i; without it the stem is the beginning of all its forms.
    stems := regexp_replace(stems, '([^'']{3})i''', '\1''', 'g');
    RETURN words::tsquery || regexp_replace(stems, lexeme, '\1:*', 'g')::tsquery;
END
$$;
COMMENT ON FUNCTION syncer.search_query(text) IS
    'What a person types (as for a web search) as a query for syncer.search_document: each word as the beginning of one, or by '
    'its English stem; words like ''the'' count only where nothing else was asked.';

-- One index for both, so that both share one list of what is still to be sorted in. Tombstones are in them: while the
-- table was never analysed, a planner takes an index WHERE removed_at IS NULL for the way to all live models.
CREATE INDEX models_search_idx ON scenario.models
    USING gin (tags, syncer.search_document(name, short_description, tags));
CREATE INDEX models_type_idx ON scenario.models (type);

CREATE FUNCTION scenario.search_models(query text, max_models integer DEFAULT 20, in_catalog text DEFAULT NULL)
RETURNS TABLE (
    catalog text, id text, name text, type text, short_description text, tags text[], rank real
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
SELECT
    m.catalog, m.id, m.name, m.type, m.short_description, m.tags,
    ts_rank(syncer.search_document(m.name, m.short_description, m.tags), q.asked) AS rank
FROM syncer.search_query(search_models.query) AS q (asked)
JOIN scenario.live_models AS m ON syncer.search_document(m.name, m.short_description, m.tags) @@ q.asked
WHERE search_models.in_catalog IS NULL OR m.catalog = search_models.in_catalog
ORDER BY coalesce(lower(m.name) = lower(btrim(search_models.query)), false) DESC, 7 DESC, m.catalog, m.id
LIMIT CASE WHEN search_models.max_models < 0 THEN 0 ELSE search_models.max_models END;
END;
COMMENT ON FUNCTION scenario.search_models(text, integer, text) IS
    'Live models whose name, tags or short description hold all words of the query, best first: a name that equals it, then by '
    'rank (name before tags before description). As for a web search: "a phrase", -without, this or that; a word also finds '
    'what begins with it, and its English forms. max_models: at most so many, NULL: all. in_catalog: only this catalog.';

-- What each view and column means ---------------------------------------------------------------------

COMMENT ON VIEW scenario.live_models IS
    'Models that the source lists now, of configured catalogs; body without its volatile parts. One model: by '
    'catalog and id. Of a type: WHERE type = …; with a tag: WHERE tags @> ARRAY[''…''].';
COMMENT ON COLUMN scenario.live_models.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.live_models.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.live_models.name IS 'Display name; may hold emoji.';
COMMENT ON COLUMN scenario.live_models.type IS 'Model type as the source spells it; new types appear unannounced.';
COMMENT ON COLUMN scenario.live_models.privacy IS 'private, public or unlisted.';
COMMENT ON COLUMN scenario.live_models.status IS 'Training status as the source spells it.';
COMMENT ON COLUMN scenario.live_models.source IS
    'Where the model came from, e.g. scenario, civitai, huggingface, other.';
COMMENT ON COLUMN scenario.live_models.custom IS 'True when the model runs through POST /generate/custom/{modelId}.';
COMMENT ON COLUMN scenario.live_models.tags IS 'Tags; compared as a set. WHERE tags @> ARRAY[''Video''] uses an index.';
COMMENT ON COLUMN scenario.live_models.capabilities IS 'What the model can do, e.g. txt2img; compared as a set.';
COMMENT ON COLUMN scenario.live_models.collection_ids IS
    'Collections of the owner that hold the model; compared as a set.';
COMMENT ON COLUMN scenario.live_models.author_id IS 'authorId of the source.';
COMMENT ON COLUMN scenario.live_models.owner_id IS 'ownerId of the source: a project id in practice.';
COMMENT ON COLUMN scenario.live_models.parent_model_id IS 'parentModelId of the source; the parent may be in no list.';
COMMENT ON COLUMN scenario.live_models.short_description IS 'shortDescription of the source.';
COMMENT ON COLUMN scenario.live_models.access_restrictions IS
    'Plan floor: 0 Free, 25 Starter, 50 Pro, 75 Max, 100 Enterprise; other values occur. In words: '
    'scenario.model_plan_access.';
COMMENT ON COLUMN scenario.live_models.training_images_number IS 'Number of training images; 0 for third-party models.';
COMMENT ON COLUMN scenario.live_models.thumbnail_asset_id IS 'thumbnail.assetId of the source.';
COMMENT ON COLUMN scenario.live_models.created_at IS
    'createdAt of the source, to the millisecond; never changes there.';
COMMENT ON COLUMN scenario.live_models.updated_at IS 'updatedAt of the source, to the millisecond.';
COMMENT ON COLUMN scenario.live_models.body IS
    'The record, unknown fields included, without training progress, performance statistics and links to assets; of '
    'parameters, what is or holds a link is left out.';
COMMENT ON COLUMN scenario.live_models.content_hash IS
    'Hash of the stable content: volatile values, URL signatures and key order left out.';
COMMENT ON COLUMN scenario.live_models.first_seen_at IS 'When this mirror first stored the model (database clock).';
COMMENT ON COLUMN scenario.live_models.changed_at IS 'When this mirror last changed the row (database clock).';

COMMENT ON COLUMN scenario.known_models.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.known_models.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.known_models.name IS 'Display name; may hold emoji.';
COMMENT ON COLUMN scenario.known_models.type IS 'Model type as the source spells it; new types appear unannounced.';
COMMENT ON COLUMN scenario.known_models.privacy IS 'private, public or unlisted.';
COMMENT ON COLUMN scenario.known_models.status IS 'Training status as the source spells it.';
COMMENT ON COLUMN scenario.known_models.source IS
    'Where the model came from, e.g. scenario, civitai, huggingface, other.';
COMMENT ON COLUMN scenario.known_models.custom IS 'True when the model runs through POST /generate/custom/{modelId}.';
COMMENT ON COLUMN scenario.known_models.tags IS 'Tags; compared as a set. WHERE tags @> ARRAY[''Video''] uses an index.';
COMMENT ON COLUMN scenario.known_models.capabilities IS 'What the model can do, e.g. txt2img; compared as a set.';
COMMENT ON COLUMN scenario.known_models.collection_ids IS
    'Collections of the owner that hold the model; compared as a set.';
COMMENT ON COLUMN scenario.known_models.author_id IS 'authorId of the source.';
COMMENT ON COLUMN scenario.known_models.owner_id IS 'ownerId of the source: a project id in practice.';
COMMENT ON COLUMN scenario.known_models.parent_model_id IS 'parentModelId of the source; the parent may be in no list.';
COMMENT ON COLUMN scenario.known_models.short_description IS 'shortDescription of the source.';
COMMENT ON COLUMN scenario.known_models.access_restrictions IS
    'Plan floor: 0 Free, 25 Starter, 50 Pro, 75 Max, 100 Enterprise; other values occur. In words: '
    'scenario.model_plan_access.';
COMMENT ON COLUMN scenario.known_models.training_images_number IS 'Number of training images; 0 for third-party models.';
COMMENT ON COLUMN scenario.known_models.thumbnail_asset_id IS 'thumbnail.assetId of the source.';
COMMENT ON COLUMN scenario.known_models.created_at IS
    'createdAt of the source, to the millisecond; never changes there.';
COMMENT ON COLUMN scenario.known_models.updated_at IS 'updatedAt of the source, to the millisecond.';
COMMENT ON COLUMN scenario.known_models.body IS
    'The record, unknown fields included, without training progress, performance statistics and links to assets; of '
    'parameters, what is or holds a link is left out.';
COMMENT ON COLUMN scenario.known_models.content_hash IS
    'Hash of the stable content: volatile values, URL signatures and key order left out.';
COMMENT ON COLUMN scenario.known_models.first_seen_at IS 'When this mirror first stored the model (database clock).';
COMMENT ON COLUMN scenario.known_models.changed_at IS 'When this mirror last changed the row (database clock).';
COMMENT ON COLUMN scenario.known_models.removed_at IS
    'When the model''s absence from the source was confirmed (database clock); NULL while it is listed.';
COMMENT ON COLUMN scenario.known_models.removed_reason IS 'absent, deleted, unlisted or out_of_scope; NULL while listed.';

COMMENT ON COLUMN syncer.live_record.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN syncer.live_record.id IS 'The model''s id at the source.';
COMMENT ON COLUMN syncer.live_record.type IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.status IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.tags IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.access_restrictions IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.parent_model_id IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.training_images_number IS 'As in scenario.models.';
COMMENT ON COLUMN syncer.live_record.body IS 'The record as stored, volatile values included.';

COMMENT ON COLUMN syncer.shown_change.change_id IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.catalog IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.id IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.operation IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.changed_fields IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.before IS 'As in scenario.model_changes.';
COMMENT ON COLUMN syncer.shown_change.day IS 'UTC day of committed_at.';

COMMENT ON VIEW scenario.model_tags IS
    'One row per live model and tag. Asked for a tag it reads every live model; scenario.live_models WHERE tags @> '
    'ARRAY[''…''] does not.';
COMMENT ON COLUMN scenario.model_tags.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_tags.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_tags.tag IS 'The tag, as the source spells it.';

COMMENT ON VIEW scenario.model_capabilities IS 'One row per live model and capability.';
COMMENT ON COLUMN scenario.model_capabilities.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_capabilities.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_capabilities.capability IS 'What the model can do, e.g. txt2img.';

COMMENT ON VIEW scenario.model_collections IS 'One row per live model and collection that holds it.';
COMMENT ON COLUMN scenario.model_collections.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_collections.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_collections.collection_id IS 'The collection''s id at the source.';

COMMENT ON VIEW scenario.model_concepts IS
    'What each live model is built on: one row per reference from its record. Asked for a target it reads every '
    'live model. A reference without a readable id is left out; it stays in body.';
COMMENT ON COLUMN scenario.model_concepts.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_concepts.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_concepts.relation IS
    'concept: an entry of concepts[]. parent: parentModelId. base: an entry of compliantModelIds[], a base model '
    'that the model runs on.';
COMMENT ON COLUMN scenario.model_concepts.position IS 'Place in its list, from 1.';
COMMENT ON COLUMN scenario.model_concepts.target_id IS 'Id of the model referred to.';
COMMENT ON COLUMN scenario.model_concepts.scale IS 'concepts[].scale; NULL for other relations.';
COMMENT ON COLUMN scenario.model_concepts.model_epoch IS 'concepts[].modelEpoch, as text; NULL for other relations.';
COMMENT ON COLUMN scenario.model_concepts.is_self IS 'True where a model lists itself, as LoRAs do.';
COMMENT ON COLUMN scenario.model_concepts.target_state IS
    'live, removed or unknown: what this catalog has under target_id. Unlisted models and base models are unknown.';
COMMENT ON COLUMN scenario.model_concepts.is_dangling IS 'True unless the target is live in this catalog.';
COMMENT ON COLUMN scenario.model_concepts.target_name IS
    'Name of the target, the last known one if it is removed; NULL if it is unknown.';
COMMENT ON COLUMN scenario.model_concepts.live_in IS
    'Configured catalogs in which the target is live, sorted; a private model''s parent may be in the public one.';

COMMENT ON VIEW scenario.model_deprecations IS
    'One row per live model that is tagged deprecated and successor that its tags name; reads every live model '
    'unless asked for one.';
COMMENT ON COLUMN scenario.model_deprecations.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_deprecations.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_deprecations.successor_id IS
    '<id> of the tag deprecated:<id>; NULL where the tag deprecated names none.';
COMMENT ON COLUMN scenario.model_deprecations.successor_state IS
    'live, removed or unknown in this catalog; NULL without a successor.';
COMMENT ON COLUMN scenario.model_deprecations.final_id IS
    'Where the chain of successors ends; through removed models too, by their last tags, and by the first of '
    'several. NULL without a successor, in a cycle, or after 50 steps.';
COMMENT ON COLUMN scenario.model_deprecations.final_state IS
    'live, removed, unknown, cycle, or too long (after 50 steps); NULL without a successor.';
COMMENT ON COLUMN scenario.model_deprecations.steps IS 'Steps to the end of the chain; 1: the successor itself.';

COMMENT ON VIEW scenario.type_counts IS 'Live models per catalog and type now. Reads every live model.';
COMMENT ON COLUMN scenario.type_counts.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.type_counts.type IS 'Model type; NULL where a record has none.';
COMMENT ON COLUMN scenario.type_counts.models IS 'Live models of it.';
COMMENT ON COLUMN scenario.type_counts.first_created_at IS 'createdAt of the oldest of them at the source.';
COMMENT ON COLUMN scenario.type_counts.last_created_at IS 'createdAt of the newest.';

COMMENT ON VIEW scenario.type_counts_daily IS
    'Live models per catalog, type and UTC day, for every day from the first in scenario.model_changes until today. '
    'Built on that table, walking back from what is live now: days are those on which this mirror learnt of it, and '
    'the first has the whole catalog as added. Reads all changes.';
COMMENT ON COLUMN scenario.type_counts_daily.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.type_counts_daily.day IS 'UTC day.';
COMMENT ON COLUMN scenario.type_counts_daily.type IS 'Model type at that time; NULL where a record had none.';
COMMENT ON COLUMN scenario.type_counts_daily.models IS 'Live at the end of the day; today: now.';
COMMENT ON COLUMN scenario.type_counts_daily.added IS
    'Became live or of this type on the day: new, restored, or of another type before.';
COMMENT ON COLUMN scenario.type_counts_daily.gone IS 'Were removed or became of another type.';

COMMENT ON VIEW scenario.changes_daily IS
    'Changes per catalog and UTC day, as this mirror learnt of them (scenario.model_changes.committed_at). A day '
    'without any has no row. One day: WHERE day = …, by an index.';
COMMENT ON COLUMN scenario.changes_daily.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.changes_daily.day IS 'UTC day.';
COMMENT ON COLUMN scenario.changes_daily.inserted IS
    'New to this mirror; on the day of a first backfill that is the whole catalog.';
COMMENT ON COLUMN scenario.changes_daily.updated IS 'Changes of content; a model that changed twice counts twice.';
COMMENT ON COLUMN scenario.changes_daily.removed IS 'Confirmed absences.';
COMMENT ON COLUMN scenario.changes_daily.restored IS 'Listed again after a removal; not among inserted.';

COMMENT ON VIEW scenario.provider_changes_daily IS
    'scenario.changes_daily by provider. The provider is the one that the model''s record names now, or named last.';
COMMENT ON COLUMN scenario.provider_changes_daily.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.provider_changes_daily.day IS 'UTC day.';
COMMENT ON COLUMN scenario.provider_changes_daily.provider IS
    'complianceMetadata.modelProvider; NULL where the record does not say. Tags name makers too, but among '
    'subjects, so they are not used.';
COMMENT ON COLUMN scenario.provider_changes_daily.inserted IS 'New to this mirror.';
COMMENT ON COLUMN scenario.provider_changes_daily.updated IS
    'Changes of content; a model that changed twice counts twice.';
COMMENT ON COLUMN scenario.provider_changes_daily.removed IS 'Confirmed absences.';
COMMENT ON COLUMN scenario.provider_changes_daily.restored IS 'Listed again after a removal; not among inserted.';

COMMENT ON VIEW scenario.model_compliance IS
    'Who made, maintains and processes each live model: complianceMetadata, which the source serves but does not '
    'document.';
COMMENT ON COLUMN scenario.model_compliance.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_compliance.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_compliance.provider IS
    'modelProvider: who made it; NULL where the record does not say.';
COMMENT ON COLUMN scenario.model_compliance.maintainer IS 'maintainer: Scenario, Fal, Replicate, Provider, …';
COMMENT ON COLUMN scenario.model_compliance.enterprise_status IS 'enterpriseStatus as the source spells it.';
COMMENT ON COLUMN scenario.model_compliance.data_processing IS
    'dataProcessingComment: zeroRetention, temporaryRetention, serviceImprovement, researchOnly, …';
COMMENT ON COLUMN scenario.model_compliance.licence_terms IS
    'licenseTerms, usually one link; empty where the record does not say. One row each: scenario.model_licences.';
COMMENT ON COLUMN scenario.model_compliance.sub_processors IS
    'subProcessor: AWS, Fal, Modal, Provider, Replicate, …; empty where the record does not say. One row each: '
    'scenario.model_sub_processors.';

COMMENT ON VIEW scenario.model_licences IS 'One row per live model and licence.';
COMMENT ON COLUMN scenario.model_licences.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_licences.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_licences.licence_terms IS 'complianceMetadata.licenseTerms: a link to the terms.';

COMMENT ON VIEW scenario.model_sub_processors IS 'One row per live model and sub-processor.';
COMMENT ON COLUMN scenario.model_sub_processors.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_sub_processors.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_sub_processors.sub_processor IS
    'complianceMetadata.subProcessor: who else processes what is sent to the model.';

COMMENT ON VIEW scenario.model_plan_access IS
    'The plan that each live model asks for. What a plan may use: WHERE access_restrictions <= 50 for Pro.';
COMMENT ON COLUMN scenario.model_plan_access.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_plan_access.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_plan_access.access_restrictions IS
    'accessRestrictions of the source; NULL where the record does not say.';
COMMENT ON COLUMN scenario.model_plan_access.plan IS
    'Its documented name: 0 Free, 25 Starter, 50 Pro, 75 Max, 100 Enterprise; NULL for any other value.';
COMMENT ON COLUMN scenario.model_plan_access.lowest_plan IS
    'The lowest plan that reaches it: for an undocumented 1, Starter. NULL above 100 or where the record does not '
    'say.';

COMMENT ON VIEW scenario.model_training IS
    'What the list says of how a live model was trained: models with training images, parameters or statistics. No '
    'progress, which is out of date at once: see status.';
COMMENT ON COLUMN scenario.model_training.catalog IS 'Catalog that lists the model.';
COMMENT ON COLUMN scenario.model_training.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_training.type IS 'Model type.';
COMMENT ON COLUMN scenario.model_training.status IS 'new, training, trained, failed, …';
COMMENT ON COLUMN scenario.model_training.parent_model_id IS 'parentModelId of the source.';
COMMENT ON COLUMN scenario.model_training.training_images_number IS 'Number of training images.';
COMMENT ON COLUMN scenario.model_training.listed_images IS
    'Training images in the record: a list gives the first three.';
COMMENT ON COLUMN scenario.model_training.image_pairs IS 'Training image pairs in the record.';
COMMENT ON COLUMN scenario.model_training.epochs IS 'Epochs kept in the record.';
COMMENT ON COLUMN scenario.model_training.chosen_epoch IS 'epoch: the chosen one.';
COMMENT ON COLUMN scenario.model_training.planned_epochs IS 'parameters.nbEpochs.';
COMMENT ON COLUMN scenario.model_training.repeats IS 'parameters.nbRepeats.';
COMMENT ON COLUMN scenario.model_training.batch_size IS 'parameters.batchSize.';
COMMENT ON COLUMN scenario.model_training.learning_rate IS 'parameters.learningRate.';
COMMENT ON COLUMN scenario.model_training.rank IS 'parameters.rank.';
COMMENT ON COLUMN scenario.model_training.started_at IS
    'trainingStats.startedAt; NULL unless it is an instant with a zone.';
COMMENT ON COLUMN scenario.model_training.ended_at IS 'trainingStats.endedAt; likewise.';
COMMENT ON COLUMN scenario.model_training.queue_duration IS 'trainingStats.queueDuration; its unit is not documented.';
COMMENT ON COLUMN scenario.model_training.train_duration IS 'trainingStats.trainDuration; its unit is not documented.';
COMMENT ON COLUMN scenario.model_training.parameters IS
    'Numbers, flags and texts of parameters; without links, storage paths and keys.';

COMMENT ON VIEW scenario.freshness IS
    'How far each configured catalog can be trusted. No row says that nothing is mirrored.';
COMMENT ON COLUMN scenario.freshness.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.freshness.privacy IS 'public or private: which listing is mirrored.';
COMMENT ON COLUMN scenario.freshness.as_of IS
    'When the mirror was last found complete (database clock): what the source listed before that cycle began is '
    'here. NULL: not yet.';
COMMENT ON COLUMN scenario.freshness.age IS 'How long ago that was.';
COMMENT ON COLUMN scenario.freshness.is_complete IS
    'True once the first backfill is complete; until then models are missing.';
COMMENT ON COLUMN scenario.freshness.backfilled_at IS 'When it was (database clock).';
COMMENT ON COLUMN scenario.freshness.compared_at IS
    'When the whole listing was last compared, which finds removals and silent edits (database clock).';
COMMENT ON COLUMN scenario.freshness.watermark IS
    'Source time up to which the catalog is completely stored; stands still while nothing changes.';
COMMENT ON COLUMN scenario.freshness.removals_waiting IS
    'Confirmed removals that wait for an operator; these models are still shown as live.';
COMMENT ON COLUMN scenario.freshness.quarantined_models IS
    'Listed models that could not be stored, dismissed ones left out.';
COMMENT ON COLUMN scenario.freshness.verified_at IS
    'When ''syncer verify'' last compared every model (database clock); NULL: never under this scope.';
COMMENT ON COLUMN scenario.freshness.verify_differences IS
    'Models that differed then, after the repair if there was one.';
COMMENT ON COLUMN scenario.freshness.is_blocked IS
    'True when the last cycle ended with an error that waiting does not mend.';
COMMENT ON COLUMN scenario.freshness.caveats IS
    'What to know before trusting the numbers, in sentences; empty: nothing.';

COMMENT ON VIEW scenario.sync_status IS
    'One row per catalog, retired ones included: how current the mirror is, for monitors. Counts every model. For '
    'analysts: scenario.freshness.';
COMMENT ON COLUMN scenario.sync_status.catalog IS 'Catalog.';
COMMENT ON COLUMN scenario.sync_status.phase IS 'new, backfill, idle, delta, sweep, blocked or retired.';
COMMENT ON COLUMN scenario.sync_status.watermark IS 'Source time up to which the catalog is completely stored.';
COMMENT ON COLUMN scenario.sync_status.head IS 'Newest source time seen, or the ceiling of the cycle in progress.';
COMMENT ON COLUMN scenario.sync_status.lag_s IS 'Seconds: head minus watermark.';
COMMENT ON COLUMN scenario.sync_status.freshness_s IS 'Seconds since the last complete cycle.';
COMMENT ON COLUMN scenario.sync_status.live_models IS 'Models that the source lists now.';
COMMENT ON COLUMN scenario.sync_status.removed_models IS 'Tombstones.';
COMMENT ON COLUMN scenario.sync_status.quarantined_models IS
    'Models that could not be stored, dismissed ones left out.';
COMMENT ON COLUMN scenario.sync_status.removals_waiting IS 'Confirmed removals that the guard holds back.';
