-- Whether there is a role of this name, its name as SQL spells it, and what it may do beyond reading schema scenario: rights of its
-- own, of roles that it is a member of, and of PUBLIC. Works on an empty database.
-- $1 name of a role
SELECT
    role.oid IS NOT NULL AS is_there,
    quote_ident($1::text) AS quoted,
    ARRAY(
        SELECT power.name
        FROM (
            VALUES
            ('SUPERUSER', role.rolsuper), ('CREATEROLE', role.rolcreaterole), ('CREATEDB', role.rolcreatedb),
            ('REPLICATION', role.rolreplication), ('BYPASSRLS', role.rolbypassrls),
            ('CREATE ON DATABASE', has_database_privilege(role.oid, current_database(), 'CREATE'))
        ) AS power (name, is_there)
        WHERE power.is_there
        UNION ALL
        -- SET ROLE makes them its own, whether they are inherited or not.
        SELECT format('membership of %I, which is more than a reader', p.rolname)
        FROM pg_roles AS p
        WHERE p.oid <> role.oid
            AND NOT role.rolsuper
            AND (p.rolsuper OR p.rolcreaterole OR p.rolcreatedb OR p.rolreplication OR p.rolbypassrls)
            AND pg_has_role(role.oid, p.oid, 'MEMBER')
        UNION ALL
        -- Those that PostgreSQL brings read and write files, run programs, or read everything.
        SELECT format('membership of %I', p.rolname)
        FROM pg_roles AS p
        WHERE p.rolname LIKE 'pg\_%' AND pg_has_role(role.oid, p.oid, 'MEMBER')
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
            -- Of one column is enough.
            AND CASE
                WHEN wanted.privilege IN ('INSERT', 'UPDATE') THEN has_any_column_privilege(role.oid, c.oid, wanted.privilege)
                ELSE has_table_privilege(role.oid, c.oid, wanted.privilege)
            END
        UNION ALL
        -- What it would be granted with the next migration.
        SELECT DISTINCT format('%s ON later tables', a.privilege_type)
        FROM pg_default_acl AS d
        CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
        WHERE d.defaclobjtype = 'r'
            AND d.defaclnamespace IN (0, coalesce(to_regnamespace('scenario'), 0::oid))
            AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
            AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(role.oid, a.grantee, 'USAGE') END
    ) AS excess
FROM (VALUES (1)) AS one_row (one)
LEFT JOIN pg_roles AS role ON role.rolname = $1::text
