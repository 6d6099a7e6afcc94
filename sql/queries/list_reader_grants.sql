-- The statements that let a role read schema scenario and nothing else, in order; running them again changes nothing.
-- $1 name of the role text
-- A group role: it cannot log in, and whoever is made a member of it can read. Default privileges are those of whoever runs
-- this, which is who migrates: what later migrations create can be read at once.
SELECT g.statement
FROM (
    SELECT 1 AS place, format('CREATE ROLE %I NOLOGIN', $1::text) AS statement
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
    UNION ALL SELECT 2, format('GRANT USAGE ON SCHEMA scenario TO %I', $1)
    UNION ALL SELECT 3, format('GRANT SELECT ON ALL TABLES IN SCHEMA scenario TO %I', $1)
    UNION ALL SELECT 4, format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scenario TO %I', $1)
    UNION ALL SELECT 5, format('ALTER DEFAULT PRIVILEGES IN SCHEMA scenario GRANT SELECT ON TABLES TO %I', $1)
    UNION ALL SELECT 6, format('ALTER DEFAULT PRIVILEGES IN SCHEMA scenario GRANT EXECUTE ON FUNCTIONS TO %I', $1)
) AS g
ORDER BY g.place
