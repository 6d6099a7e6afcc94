-- What kind of server this is, and whether our user could bring the schema up to date; only reads.
SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS is_read_only,
    EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) AS has_lz4,
    -- A schema that is not there yet is made, which takes the right on the database instead.
    coalesce(
        has_schema_privilege(to_regnamespace('scenario')::oid, 'CREATE'),
        has_database_privilege(current_database(), 'CREATE')
    )
    AND coalesce(
        has_schema_privilege(to_regnamespace('syncer')::oid, 'CREATE'),
        has_database_privilege(current_database(), 'CREATE')
    ) AS may_migrate
