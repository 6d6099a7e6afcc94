-- oldest-compatible: 0011
-- What happened to each model, in the order in which it became visible. A build that does not write it would leave
-- gaps that nobody could see, so builds that do not know it refuse to start.
CREATE TABLE scenario.model_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY,
    catalog text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    operation text NOT NULL,
    changed_fields text[],
    before jsonb,
    after jsonb,
    source_updated_at timestamptz NOT NULL,
    committed_at timestamptz NOT NULL,
    CONSTRAINT model_changes_pkey PRIMARY KEY (change_id),
    CONSTRAINT model_changes_operation_known CHECK (operation IN ('insert', 'update', 'remove', 'restore')),
    CONSTRAINT model_changes_whole CHECK (
        (changed_fields IS NULL) = (before IS NULL) AND (changed_fields IS NULL) = (after IS NULL)
    ),
    CONSTRAINT model_changes_has_fields CHECK (operation NOT IN ('update', 'restore') OR changed_fields IS NOT NULL)
);
CREATE INDEX model_changes_model_idx ON scenario.model_changes (catalog, id, change_id);
-- Grows at its end only, and holds one entry for all changes of a page: it costs next to nothing.
CREATE INDEX model_changes_committed_at_idx ON scenario.model_changes (committed_at);

COMMENT ON TABLE scenario.model_changes IS
    'Append-only: each transition of a model in this mirror, once. Read it from change to change: one with a greater '
    'change_id never becomes visible before one with a smaller.';
COMMENT ON COLUMN scenario.model_changes.change_id IS
    'Order of the changes. Has gaps; remember the last one read and ask for greater ones.';
COMMENT ON COLUMN scenario.model_changes.catalog IS 'Catalog in which it happened; a model in two catalogs changes in both.';
COMMENT ON COLUMN scenario.model_changes.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.model_changes.operation IS
    'insert: new to this mirror. update: its content changed. remove: its absence was confirmed. restore: listed again.';
COMMENT ON COLUMN scenario.model_changes.changed_fields IS
    'Top-level fields that differ, in the API''s spelling and sorted; NULL for insert and remove. Volatile values and the '
    'order of tags, capabilities and collectionIds are no difference.';
COMMENT ON COLUMN scenario.model_changes.before IS
    'The changed fields as they were, without volatile values; a field that was not there is missing. NULL as changed_fields.';
COMMENT ON COLUMN scenario.model_changes.after IS 'The changed fields as they are since; as before.';
COMMENT ON COLUMN scenario.model_changes.source_updated_at IS
    'updatedAt of the version that the change brought; of the last one held, for a removal.';
COMMENT ON COLUMN scenario.model_changes.committed_at IS
    'When it was stored (database clock); never earlier than that of a smaller change_id.';

-- As scenario.models.body: lz4 where the server has it.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) THEN
        ALTER TABLE scenario.model_changes
            ALTER COLUMN before SET COMPRESSION lz4, ALTER COLUMN after SET COMPRESSION lz4;
    END IF;
END
$$;

-- Tombstones alone: live rows, which are what is written, cost nothing here.
CREATE INDEX models_removed_at_idx ON scenario.models (catalog, removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE syncer.history (
    is_only boolean NOT NULL DEFAULT true,
    kept_since timestamptz,
    dropped_id bigint,
    CONSTRAINT history_pkey PRIMARY KEY (is_only),
    CONSTRAINT history_is_one_row CHECK (is_only),
    CONSTRAINT history_kept_since_finite CHECK (isfinite(kept_since))
);
COMMENT ON TABLE syncer.history IS 'How far back scenario.model_changes reaches; one row.';
COMMENT ON COLUMN syncer.history.is_only IS 'Always true: there is one row.';
COMMENT ON COLUMN syncer.history.kept_since IS
    'From here on every change is kept, and scenario.models_at answers; NULL: from the beginning of this mirror.';
COMMENT ON COLUMN syncer.history.dropped_id IS
    'Greatest change_id that was, or may by now be, removed for its age: whoever has read less has missed some. NULL: none.';

-- What is live now begins its history here. Until this commits nobody adds a row that it would not see.
LOCK TABLE scenario.models IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO scenario.model_changes (catalog, id, operation, source_updated_at, committed_at)
SELECT m.catalog, m.id, 'insert', m.updated_at, (SELECT clock_timestamp())
FROM scenario.models AS m
WHERE m.removed_at IS NULL
ORDER BY m.first_seen_at, m.catalog, m.id;

-- Of an empty mirror everything will be known. A tombstone counts: when it was live, nobody wrote down.
INSERT INTO syncer.history (kept_since)
SELECT CASE
    WHEN EXISTS (SELECT FROM scenario.models) THEN
        coalesce((SELECT max(c.committed_at) FROM scenario.model_changes AS c), clock_timestamp())
END;

-- Values of a body as columns hold them, by the rules of syncer/api/record.py: what is of another type is NULL.
-- Readers may use them in views: their bodies are bound here, whatever a reader may see.
CREATE FUNCTION syncer.as_text(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END;
END;
COMMENT ON FUNCTION syncer.as_text IS 'The text of a JSON string; NULL for anything else.';

CREATE FUNCTION syncer.as_flag(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT CASE jsonb_typeof(value) WHEN 'boolean' THEN value::boolean END;
END;
COMMENT ON FUNCTION syncer.as_flag IS 'The value of a JSON boolean; NULL for anything else.';

CREATE FUNCTION syncer.as_integer(value jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT CASE
    WHEN jsonb_typeof(value) = 'number' THEN
        CASE
            WHEN value::numeric BETWEEN -2147483648 AND 2147483647 AND value::numeric = trunc(value::numeric)
                THEN value::numeric::integer
        END
END;
END;
COMMENT ON FUNCTION syncer.as_integer IS
    'A whole JSON number, however it is spelled (25, 25.0), that integer holds; NULL for anything else.';

CREATE FUNCTION syncer.as_words(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT CASE
    WHEN jsonb_typeof(value) = 'array' THEN
        CASE
            WHEN NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS e (item) WHERE jsonb_typeof(item) <> 'string')
                THEN ARRAY(
                    SELECT w.word
                    FROM jsonb_array_elements_text(value) WITH ORDINALITY AS w (word, place)
                    GROUP BY w.word COLLATE "C", w.word
                    ORDER BY min(w.place)
                )
        END
END;
END;
COMMENT ON FUNCTION syncer.as_words IS
    'The strings of a JSON array, each once, in the order of their first; NULL where it holds anything else, or is no array.';

CREATE FUNCTION syncer.as_key(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT k.key FROM (SELECT syncer.as_text(value) AS key) AS k WHERE length(k.key) <= 500;
END;
COMMENT ON FUNCTION syncer.as_key IS 'As as_text, where an index can hold it; NULL for longer ones.';

CREATE FUNCTION syncer.as_keys(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT k.keys
FROM (SELECT syncer.as_words(value) AS keys) AS k
WHERE NOT EXISTS (SELECT FROM unnest(k.keys) AS e (key) WHERE length(e.key) > 500);
END;
COMMENT ON FUNCTION syncer.as_keys IS 'As as_words, where an index can hold each; NULL where one is longer.';

CREATE FUNCTION syncer.as_unusual_time(value jsonb) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- Never raises: a body may hold anything. Milliseconds, as the source has; finer digits are cut off.
BEGIN ATOMIC
SELECT CASE
    WHEN found.at_utc >= timestamp '0001-01-01 00:00:00.001' AND found.at_utc < timestamp '10000-01-01'
        THEN date_trunc('milliseconds', found.at_utc) AT TIME ZONE 'UTC'
    -- The driver takes the very first instant for minus infinity (syncer/domain.py, FIRST_INSTANT).
    WHEN found.at_utc >= timestamp '0001-01-01' AND found.at_utc < timestamp '0001-01-01 00:00:00.001'
        THEN timestamp '0001-01-01 00:00:00.000001' AT TIME ZONE 'UTC'
END
FROM (
    SELECT CASE jsonb_typeof(value) WHEN 'string' THEN regexp_match(
        value #>> '{}',
        '^(?:([0-9]{4})(?:-([0-9]{2})-|([0-9]{2}))([0-9]{2})|([0-9]{4})-?w([0-9]{2})(?:-?([1-7]))?)'
        '(?:.([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?(z|([+-])([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?)?)?$',
        'i'
    ) END AS p
) AS text
CROSS JOIN LATERAL (
    -- Parts: 1 year, 2 or 3 month, 4 day; 5 year, 6 week, 7 weekday; 8 to 11 time; 13 to 17 offset.
    SELECT
        CASE
            WHEN text.p[1] BETWEEN '0001' AND '9999' AND coalesce(text.p[2], text.p[3]) BETWEEN '01' AND '12'
                THEN make_date(text.p[1]::integer, coalesce(text.p[2], text.p[3])::integer, 1)
                    + (text.p[4]::integer - 1)
            WHEN text.p[5] BETWEEN '0001' AND '9999' AND text.p[6] BETWEEN '01' AND '53'
                THEN date_trunc('week', make_date(text.p[5]::integer, 1, 4)::timestamp)::date
                    + (7 * (text.p[6]::integer - 1) + coalesce(text.p[7]::integer, 1) - 1)
        END AS day
) AS dated
CROSS JOIN LATERAL (
    SELECT
        dated.day
        + make_interval(
            hours => coalesce(text.p[8]::integer, 0), mins => coalesce(text.p[9]::integer, 0),
            secs => coalesce(text.p[10]::integer, 0)
        )
        + rpad(left(coalesce(text.p[11], ''), 6), 6, '0')::integer * interval '1 microsecond'
        - CASE text.p[13] WHEN '-' THEN -1 ELSE 1 END
        * (
            make_interval(
                hours => coalesce(text.p[14]::integer, 0), mins => coalesce(text.p[15]::integer, 0),
                secs => coalesce(text.p[16]::integer, 0)
            )
            + rpad(left(coalesce(text.p[17], ''), 6), 6, '0')::integer * interval '1 microsecond'
        ) AS at_utc
    WHERE
        (
            text.p[1] IS NULL
            OR (extract(month FROM dated.day) = coalesce(text.p[2], text.p[3])::integer AND text.p[4] <> '00')
        )
        AND (text.p[5] IS NULL OR extract(isoyear FROM dated.day) = text.p[5]::integer)
        AND coalesce(text.p[8], '0') <= '24' AND coalesce(text.p[9], '0') < '60' AND coalesce(text.p[10], '0') < '60'
        AND coalesce(text.p[14], '0') < '24' AND coalesce(text.p[15], '0') < '60' AND coalesce(text.p[16], '0') < '60'
) AS found;
END;
COMMENT ON FUNCTION syncer.as_unusual_time IS 'As syncer.as_time, which asks it for what is not of the usual shape.';

CREATE FUNCTION syncer.as_time(value jsonb) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- The pattern that knows every shape takes 3 ms to match, and nearly every time is of one shape.
BEGIN ATOMIC
SELECT CASE
    WHEN jsonb_typeof(value) <> 'string' THEN NULL
    WHEN text.it ~ '^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z$'
        AND substr(text.it, 1, 4) BETWEEN '0002' AND '9999'
        AND substr(text.it, 6, 2) BETWEEN '01' AND '12'
        AND substr(text.it, 9, 2) BETWEEN '01' AND CASE
            WHEN substr(text.it, 6, 2) = '02' THEN '28'
            WHEN substr(text.it, 6, 2) IN ('04', '06', '09', '11') THEN '30'
            ELSE '31'
        END
        AND substr(text.it, 12, 2) < '24'
        THEN make_timestamp(
            substr(text.it, 1, 4)::integer, substr(text.it, 6, 2)::integer, substr(text.it, 9, 2)::integer,
            substr(text.it, 12, 2)::integer, substr(text.it, 15, 2)::integer,
            substr(text.it, 18, 2)::integer + rpad(rtrim(substr(text.it, 21, 3), 'Z'), 3, '0')::integer / 1000.0
        ) AT TIME ZONE 'UTC'
    ELSE syncer.as_unusual_time(value)
END
FROM (SELECT value #>> '{}' AS it) AS text;
END;
COMMENT ON FUNCTION syncer.as_time IS
    'The instant of an ISO date in a JSON string, in UTC unless it says otherwise; NULL for anything else.';

CREATE FUNCTION syncer.model_columns(body jsonb) RETURNS TABLE (
    name text, type text, privacy text, status text, source text, custom boolean, tags text[], capabilities text[],
    collection_ids text[], author_id text, owner_id text, parent_model_id text, short_description text,
    access_restrictions integer, training_images_number integer, thumbnail_asset_id text, created_at timestamptz,
    updated_at timestamptz
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT
    syncer.as_text(body -> 'name'), syncer.as_key(body -> 'type'), syncer.as_text(body -> 'privacy'),
    syncer.as_text(body -> 'status'), syncer.as_text(body -> 'source'), syncer.as_flag(body -> 'custom'),
    syncer.as_keys(body -> 'tags'), syncer.as_words(body -> 'capabilities'), syncer.as_words(body -> 'collectionIds'),
    syncer.as_text(body -> 'authorId'), syncer.as_text(body -> 'ownerId'), syncer.as_text(body -> 'parentModelId'),
    syncer.as_text(body -> 'shortDescription'), syncer.as_integer(body -> 'accessRestrictions'),
    syncer.as_integer(body -> 'trainingImagesNumber'), syncer.as_text(body -> 'thumbnail' -> 'assetId'),
    syncer.as_time(body -> 'createdAt'), syncer.as_time(body -> 'updatedAt');
END;
COMMENT ON FUNCTION syncer.model_columns IS 'The columns of scenario.models that come from a body, as the merge would fill them.';

CREATE FUNCTION syncer.stable_body(body jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT
-- The rules of syncer/api/normalise.py, without_volatile; a test holds them to it.
AS $$
DECLARE
    stable jsonb;
    part jsonb;
    link text[];
BEGIN
    IF jsonb_typeof(body) <> 'object' THEN
        RETURN body;
    END IF;
    stable := body - ARRAY['trainingProgress', 'performanceStats'];
    IF jsonb_typeof(stable -> 'thumbnail') = 'object' THEN
        stable := stable #- '{thumbnail,url}';
    END IF;
    IF jsonb_typeof(stable -> 'class') = 'object' THEN
        stable := stable #- '{class,thumbnails}';
    END IF;
    part := stable -> 'trainingImages';
    IF jsonb_typeof(part) = 'array' AND part <> '[]' THEN
        stable := jsonb_set(stable, '{trainingImages}', (
            SELECT jsonb_agg(CASE jsonb_typeof(e.item) WHEN 'object' THEN e.item - 'downloadUrl' ELSE e.item END ORDER BY e.place)
            FROM jsonb_array_elements(part) WITH ORDINALITY AS e (item, place)
        ));
    END IF;
    part := stable -> 'epochs';
    IF jsonb_typeof(part) = 'array' AND part <> '[]' THEN
        stable := jsonb_set(stable, '{epochs}', (
            SELECT jsonb_agg(
                CASE
                    WHEN jsonb_typeof(e.item) = 'object' AND jsonb_typeof(e.item -> 'assets') = 'array' THEN
                        jsonb_set(e.item, '{assets}', coalesce((
                            SELECT jsonb_agg(
                                CASE jsonb_typeof(a.item) WHEN 'object' THEN a.item - 'url' ELSE a.item END
                                ORDER BY a.place
                            )
                            FROM jsonb_array_elements(e.item -> 'assets') WITH ORDINALITY AS a (item, place)
                        ), '[]'))
                    ELSE e.item
                END
                ORDER BY e.place
            )
            FROM jsonb_array_elements(part) WITH ORDINALITY AS e (item, place)
        ));
    END IF;
    part := stable -> 'parameters';
    IF part @? 'strict $.** ? (@.type() == "string" && @ like_regex "^http" flag "i")' THEN
        IF jsonb_typeof(part) = 'string' THEN
            RETURN jsonb_set(stable, '{parameters}', 'null');
        END IF;
        -- Later members of an array first: removing one moves those behind it. Without recursion: a record may be
        -- nested 500 levels deep.
        FOR link IN
            WITH RECURSIVE node (place, path, value) AS (
                SELECT '{}'::integer[], '{parameters}'::text[], part
                UNION ALL
                SELECT n.place || inner_one.place::integer, n.path || inner_one.name, inner_one.value
                FROM node AS n
                CROSS JOIN LATERAL (
                    SELECT m.place, m.name, m.value
                    FROM jsonb_each(CASE jsonb_typeof(n.value) WHEN 'object' THEN n.value ELSE '{}' END)
                        WITH ORDINALITY AS m (name, value, place)
                    UNION ALL
                    SELECT m.place, (m.place - 1)::text, m.value
                    FROM jsonb_array_elements(CASE jsonb_typeof(n.value) WHEN 'array' THEN n.value ELSE '[]' END)
                        WITH ORDINALITY AS m (value, place)
                ) AS inner_one
            )
            SELECT n.path FROM node AS n
            WHERE jsonb_typeof(n.value) = 'string' AND n.value #>> '{}' ~* '^http'
            ORDER BY n.place DESC
        LOOP
            stable := stable #- link;
        END LOOP;
    END IF;
    RETURN stable;
END
$$;
COMMENT ON FUNCTION syncer.stable_body IS
    'A body without its volatile values: progress, performance statistics, signed links, links in parameters.';

CREATE FUNCTION scenario.models_at(at timestamptz) RETURNS TABLE (
    catalog text, id text, name text, type text, privacy text, status text, source text, custom boolean, tags text[],
    capabilities text[], collection_ids text[], author_id text, owner_id text, parent_model_id text,
    short_description text, access_restrictions integer, training_images_number integer, thumbnail_asset_id text,
    created_at timestamptz, updated_at timestamptz, body jsonb, content_hash bytea, first_seen_at timestamptz,
    changed_at timestamptz
)
LANGUAGE plpgsql STABLE
-- Readers see the tables of schema syncer through it, and no name of theirs stands in for one of ours.
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- How much has changed since a time no statistics tell: a planner that believes in a handful would compare each model
-- with each change.
SET enable_nestloop = off
-- Before PostgreSQL 18 that makes a plan look so dear that compiling it would seem worth seconds.
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    kept timestamptz := (SELECT h.kept_since FROM syncer.history AS h);
BEGIN
    IF models_at.at IS NULL THEN
        RAISE EXCEPTION 'scenario.models_at was asked for no time'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Name a time; now() gives the catalog as it is.';
    END IF;
    IF models_at.at < kept THEN
        RAISE EXCEPTION 'the catalog as it was at % is not known: changes are kept since %', models_at.at, kept
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Ask for a later time. What was removed before that, or never written down, cannot be rebuilt.';
    END IF;
    RETURN QUERY
    WITH later AS MATERIALIZED (
        SELECT c.change_id, c.catalog, c.id, c.operation, c.changed_fields, c.before
        FROM scenario.model_changes AS c
        WHERE c.committed_at > models_at.at
    ),
    next_change AS (
        SELECT DISTINCT ON (l.catalog, l.id) l.catalog, l.id, l.operation
        FROM later AS l
        ORDER BY l.catalog, l.id, l.change_id
    ),
    field AS (
        SELECT DISTINCT ON (l.catalog, l.id, f.name) l.catalog, l.id, f.name, l.before -> f.name AS value
        FROM later AS l CROSS JOIN LATERAL unnest(l.changed_fields) AS f (name)
        ORDER BY l.catalog, l.id, f.name, l.change_id
    ),
    undone AS (
        SELECT
            f.catalog, f.id, array_agg(f.name) AS names,
            coalesce(jsonb_object_agg(f.name, f.value) FILTER (WHERE f.value IS NOT NULL), '{}') AS values
        FROM field AS f
        GROUP BY f.catalog, f.id
    ),
    -- Read twice rather than written to disk.
    shown AS NOT MATERIALIZED (
        SELECT
            m.*, u.names, u.values,
            CASE
                WHEN m.changed_at <= models_at.at AND n.operation IS DISTINCT FROM 'update' AND u.names IS NULL
                    THEN m.changed_at
                ELSE (
                    -- OFFSET keeps the planner from looking for the greatest from the end of all changes.
                    SELECT max(e.committed_at)
                    FROM (
                        SELECT c.committed_at
                        FROM scenario.model_changes AS c
                        WHERE c.catalog = m.catalog AND c.id = m.id AND c.committed_at <= models_at.at
                            AND c.operation <> 'remove'
                        OFFSET 0
                    ) AS e
                )
            END AS was_changed_at
        FROM scenario.models AS m
        LEFT JOIN next_change AS n ON n.catalog = m.catalog AND n.id = m.id
        LEFT JOIN undone AS u ON u.catalog = m.catalog AND u.id = m.id
        -- What happened next to a model tells whether it was live until then.
        WHERE CASE WHEN n.operation IS NULL THEN m.removed_at IS NULL ELSE n.operation IN ('update', 'remove') END
            AND NOT EXISTS (
                SELECT FROM syncer.catalog AS c
                WHERE c.catalog = m.catalog
                    -- One that is being forgotten has lost some of its rows, and was never complete by then.
                    AND (c.retired_at <= models_at.at OR (c.retired_at IS NOT NULL AND c.last_complete_at IS NULL))
            )
    )
    SELECT
        s.catalog, s.id, s.name, s.type, s.privacy, s.status, s.source, s.custom, s.tags, s.capabilities,
        s.collection_ids, s.author_id, s.owner_id, s.parent_model_id, s.short_description, s.access_restrictions,
        s.training_images_number, s.thumbnail_asset_id, s.created_at, s.updated_at, syncer.stable_body(s.body),
        s.content_hash, s.first_seen_at, s.was_changed_at
    FROM shown AS s
    WHERE s.names IS NULL
    UNION ALL
    SELECT
        s.catalog, s.id, c.name, c.type, c.privacy, c.status, c.source, c.custom, c.tags, c.capabilities,
        c.collection_ids, c.author_id, c.owner_id, c.parent_model_id, c.short_description, c.access_restrictions,
        c.training_images_number, c.thumbnail_asset_id, c.created_at, c.updated_at, b.body,
        NULL, s.first_seen_at, s.was_changed_at
    FROM shown AS s
    CROSS JOIN LATERAL (SELECT (syncer.stable_body(s.body) - s.names) || s.values AS body OFFSET 0) AS b
    CROSS JOIN LATERAL syncer.model_columns(b.body) AS c
    WHERE s.names IS NOT NULL;
END
$$;
COMMENT ON FUNCTION scenario.models_at IS
    'The models as scenario.live_models would have shown them at a time (database clock, scenario.model_changes.committed_at), '
    'without volatile values. Content_hash is NULL where a model has changed since, changed_at where it is no longer known. A '
    'time to come shows the present; one from before the history is an error.';
