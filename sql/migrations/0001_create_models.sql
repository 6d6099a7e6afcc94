-- The mirror itself. Schema scenario is for readers, schema syncer is the daemon's own.
CREATE SCHEMA IF NOT EXISTS scenario;
CREATE SCHEMA IF NOT EXISTS syncer;
COMMENT ON SCHEMA scenario IS 'The mirrored model catalog, for readers.';
COMMENT ON SCHEMA syncer IS 'State of the syncer daemon; may change between versions.';

-- Keys collate "C": the order is the byte order that the daemon sorts by before it locks, whatever
-- the database's locale, and comparisons are memcmp.
CREATE TABLE scenario.models (
    catalog text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text,
    type text,
    privacy text,
    status text,
    source text,
    custom boolean,
    tags text[],
    capabilities text[],
    collection_ids text[],
    author_id text,
    owner_id text,
    parent_model_id text,
    short_description text,
    access_restrictions integer,
    training_images_number integer,
    thumbnail_asset_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    content_hash bytea NOT NULL,
    sent_order bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    removed_reason text,
    CONSTRAINT models_pkey PRIMARY KEY (catalog, id),
    CONSTRAINT models_id_not_empty CHECK (id <> ''),
    CONSTRAINT models_removed_after_first_seen CHECK (removed_at >= first_seen_at),
    CONSTRAINT models_removed_has_reason CHECK ((removed_at IS NULL) = (removed_reason IS NULL)),
    CONSTRAINT models_removed_reason_known
        CHECK (removed_reason IN ('absent', 'deleted', 'unlisted', 'out_of_scope'))
);

CREATE INDEX models_updated_at_idx ON scenario.models (catalog, updated_at);
CREATE INDEX models_created_at_idx ON scenario.models (catalog, created_at);

-- lz4 halves the server's cost per row where the server was built with it; without it pglz serves.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) THEN
        ALTER TABLE scenario.models ALTER COLUMN body SET COMPRESSION lz4;
    END IF;
END
$$;

COMMENT ON TABLE scenario.models IS
    'One row per model and catalog, removed models included; scenario.live_models hides those.';
COMMENT ON COLUMN scenario.models.catalog IS 'Name of the configured catalog that lists the model.';
COMMENT ON COLUMN scenario.models.id IS 'The model''s id at the source.';
COMMENT ON COLUMN scenario.models.name IS 'Display name; may hold emoji.';
COMMENT ON COLUMN scenario.models.type IS 'Model type as the source spells it; new types appear unannounced.';
COMMENT ON COLUMN scenario.models.privacy IS 'private, public or unlisted.';
COMMENT ON COLUMN scenario.models.status IS 'Training status as the source spells it.';
COMMENT ON COLUMN scenario.models.source IS 'Where the model came from, e.g. scenario, civitai, huggingface, other.';
COMMENT ON COLUMN scenario.models.custom IS 'True when the model runs through POST /generate/custom/{modelId}.';
COMMENT ON COLUMN scenario.models.tags IS 'Tags in the order in which they were listed when the row last changed; compared as a set.';
COMMENT ON COLUMN scenario.models.capabilities IS 'What the model can do, e.g. txt2img; compared as a set.';
COMMENT ON COLUMN scenario.models.collection_ids IS 'Collections of the owner that hold the model; compared as a set.';
COMMENT ON COLUMN scenario.models.author_id IS 'authorId of the source.';
COMMENT ON COLUMN scenario.models.owner_id IS 'ownerId of the source: a project id in practice.';
COMMENT ON COLUMN scenario.models.parent_model_id IS 'parentModelId of the source; the parent may be in no list.';
COMMENT ON COLUMN scenario.models.short_description IS 'shortDescription of the source.';
COMMENT ON COLUMN scenario.models.access_restrictions IS
    'Plan floor: 0 Free, 25 Starter, 50 Pro, 75 Max, 100 Enterprise; other values occur.';
COMMENT ON COLUMN scenario.models.training_images_number IS 'Number of training images; 0 for third-party models.';
COMMENT ON COLUMN scenario.models.thumbnail_asset_id IS 'thumbnail.assetId of the source.';
COMMENT ON COLUMN scenario.models.created_at IS 'createdAt of the source, to the millisecond; never changes there.';
COMMENT ON COLUMN scenario.models.updated_at IS 'updatedAt of the source, to the millisecond.';
COMMENT ON COLUMN scenario.models.body IS
    'The whole record, unknown fields included, with secrets redacted and URL signatures cut. Volatile '
    'values (training progress, performance statistics, signed links) are as of changed_at.';
COMMENT ON COLUMN scenario.models.content_hash IS
    'Hash of the stable content: volatile values, URL signatures and key order left out.';
COMMENT ON COLUMN scenario.models.sent_order IS
    'Position of the request that delivered this version among all requests sent for the catalog; '
    'decides between versions with equal updated_at. Internal.';
COMMENT ON COLUMN scenario.models.first_seen_at IS 'When this mirror first stored the model (database clock).';
COMMENT ON COLUMN scenario.models.changed_at IS 'When this mirror last changed the row (database clock).';
COMMENT ON COLUMN scenario.models.removed_at IS
    'When the model''s absence from the source was confirmed (database clock); NULL while it is listed.';
COMMENT ON COLUMN scenario.models.removed_reason IS 'absent, deleted, unlisted or out_of_scope; NULL while listed.';

-- The shape in which rows travel to the merge. A type of its own, so that a column added to the table
-- does not change what an older build sends.
CREATE TYPE syncer.model_row AS (
    catalog text,
    id text,
    name text,
    type text,
    privacy text,
    status text,
    source text,
    custom boolean,
    tags text[],
    capabilities text[],
    collection_ids text[],
    author_id text,
    owner_id text,
    parent_model_id text,
    short_description text,
    access_restrictions integer,
    training_images_number integer,
    thumbnail_asset_id text,
    created_at timestamptz,
    updated_at timestamptz,
    body jsonb,
    content_hash bytea,
    sent_order bigint
);
COMMENT ON TYPE syncer.model_row IS 'One incoming model, as the merge receives it.';
