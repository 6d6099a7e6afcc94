-- What the session of a reader can see: whether the record of migrations (a role that reads schema scenario alone cannot), and
-- whether the server is a standby, where nobody can LISTEN. Works on an empty database.
SELECT
    NOT EXISTS (
        SELECT FROM pg_namespace WHERE nspname = 'syncer' AND NOT has_schema_privilege(oid, 'USAGE')
    ) AND NOT EXISTS (
        SELECT FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'syncer' AND c.relname = 'migration' AND NOT has_table_privilege(c.oid, 'SELECT')
    ) AS sees_migrations,
    pg_is_in_recovery() AS is_standby
