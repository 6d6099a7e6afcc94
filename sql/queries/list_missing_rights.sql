-- What our user may not do with the tables of the mirror, as GRANT would spell it; nothing is right.
-- The record of migrations is only read, but for migrating itself.
SELECT format('USAGE ON SCHEMA %I', n.nspname) AS missing
FROM pg_namespace AS n
WHERE n.nspname IN ('scenario', 'syncer') AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT format('%s ON %I.%I', wanted.privilege, n.nspname, c.relname)
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS wanted (privilege)
WHERE n.nspname IN ('scenario', 'syncer')
    AND c.relkind = 'r'
    AND NOT has_table_privilege(c.oid, wanted.privilege)
    AND (c.relname <> 'migration' OR wanted.privilege = 'SELECT')
ORDER BY missing
