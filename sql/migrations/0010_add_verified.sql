-- What the last 'syncer verify' has found, so that a monitor can tell without reading its output.
ALTER TABLE syncer.catalog
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN verify_differences integer,
    ADD CONSTRAINT catalog_verified_has_differences CHECK ((verified_at IS NULL) = (verify_differences IS NULL)),
    ADD CONSTRAINT catalog_verify_differences_not_negative CHECK (verify_differences >= 0);
COMMENT ON COLUMN syncer.catalog.verified_at IS
    'When the catalog was last compared with the source model by model (database clock); NULL: never under this scope. '
    'Written by whoever compared, with or without the lease: it says nothing that a writer goes by.';
COMMENT ON COLUMN syncer.catalog.verify_differences IS
    'Models that were missing, extra or stale then, after the repair if there was one; 0: the mirror equals the source.';
