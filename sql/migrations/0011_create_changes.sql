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
