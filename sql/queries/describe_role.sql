-- Whether there is a role of this name, its name as SQL spells it, and what it may do beyond reading schema scenario: rights of its
-- own, of roles that it is a member of, and of PUBLIC. Works on an empty database.
-- $1 name of a role
SELECT
    role.oid IS NOT NULL AS is_there,
    quote_ident($1::text) AS quoted,
    ARRAY(
        SELECT 'SUPERUSER' WHERE role.rolsuper
        UNION ALL
        SELECT format('%s ON SCHEMA %I', wanted.privilege, n.nspname)
        FROM pg_namespace AS n
        INNER JOIN (VALUES ('syncer', 'USAGE'), ('syncer', 'CREATE'), ('scenario', 'CREATE')) AS wanted (nspname, privilege)
            ON wanted.nspname = n.nspname
        WHERE has_schema_privilege(role.oid, n.oid, wanted.privilege)
        UNION ALL
        SELECT format('%s ON %I.%I', wanted.privilege, n.nspname, c.relname)
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS wanted (privilege)
        WHERE n.nspname = 'scenario'
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND has_table_privilege(role.oid, c.oid, wanted.privilege)
    ) AS excess
FROM (VALUES (1)) AS one_row (one)
LEFT JOIN pg_roles AS role ON role.rolname = $1::text
