-- Create the migrator's own bookkeeping. Safe to repeat; runs with the first migration, never when reading.
DO $$
BEGIN
    -- Asked first: CREATE SCHEMA IF NOT EXISTS needs a right on the database even where it does nothing.
    IF to_regnamespace('syncer') IS NULL THEN
        CREATE SCHEMA syncer;
    END IF;
    CREATE TABLE IF NOT EXISTS syncer.migration (
        number integer NOT NULL,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        oldest_compatible integer NOT NULL,
        CONSTRAINT migration_pkey PRIMARY KEY (number),
        CONSTRAINT migration_number_positive CHECK (number > 0),
        CONSTRAINT migration_oldest_compatible_exists CHECK (oldest_compatible BETWEEN 1 AND number)
    );
    COMMENT ON TABLE syncer.migration IS
        'Migrations applied to this database, each written in the transaction that applied it.';
    COMMENT ON COLUMN syncer.migration.number IS 'NNNN of the file sql/migrations/NNNN_name.sql.';
    COMMENT ON COLUMN syncer.migration.name IS 'The file''s name after the number.';
    COMMENT ON COLUMN syncer.migration.checksum IS 'SHA-256 of the file, line ends as LF: an applied file never changes.';
    COMMENT ON COLUMN syncer.migration.applied_at IS 'When it was applied (database clock).';
    COMMENT ON COLUMN syncer.migration.oldest_compatible IS
        'Builds that know at least this migration can work with the database after this one.';
END
$$;
