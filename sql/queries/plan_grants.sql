-- The statements that are missing until a role can read schema scenario, in their order; none when it can. What PUBLIC may do is
-- granted to the role all the same: it stays when PUBLIC loses it. Later tables and functions are those of the schema's owner, who
-- migrates. Works on an empty database, where all is missing.
-- $1 name of the role; format quotes it, so that it may be any name
WITH place AS (
    SELECT
        schema_.oid,
        schema_.nspacl,
        coalesce(pg_get_userbyid(schema_.nspowner), current_user) AS owner,
        reader.oid AS reader
    FROM (VALUES (1)) AS one_row (one)
    LEFT JOIN pg_namespace AS schema_ ON schema_.nspname = 'scenario'
    LEFT JOIN pg_roles AS reader ON reader.rolname = $1::text
),
later AS (
    SELECT d.defaclobjtype AS kind, granted.privilege_type
    FROM place
    INNER JOIN pg_default_acl AS d
        ON d.defaclnamespace = place.oid AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = place.owner)
    CROSS JOIN LATERAL aclexplode(d.defaclacl) AS granted
    WHERE granted.grantee = place.reader
)
SELECT format(step.statement, $1::text, place.owner) AS statement
FROM place
CROSS JOIN LATERAL (
    VALUES
    (1, 'CREATE ROLE %1$I NOLOGIN', place.reader IS NULL),
    (2, 'GRANT USAGE ON SCHEMA scenario TO %1$I', NOT EXISTS (
        SELECT FROM aclexplode(place.nspacl) AS granted
        WHERE granted.grantee = place.reader AND granted.privilege_type = 'USAGE'
    )),
    (3, 'GRANT SELECT ON ALL TABLES IN SCHEMA scenario TO %1$I', place.oid IS NULL OR EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.relnamespace = place.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
            SELECT FROM aclexplode(c.relacl) AS granted
            WHERE granted.grantee = place.reader AND granted.privilege_type = 'SELECT'
        )
    )),
    (4, 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scenario TO %1$I', place.oid IS NULL OR EXISTS (
        SELECT FROM pg_proc AS p
        WHERE p.pronamespace = place.oid AND p.prokind <> 'p' AND NOT EXISTS (
            SELECT FROM aclexplode(p.proacl) AS granted
            WHERE granted.grantee = place.reader AND granted.privilege_type = 'EXECUTE'
        )
    )),
    (
        5, 'ALTER DEFAULT PRIVILEGES FOR ROLE %2$I IN SCHEMA scenario GRANT SELECT ON TABLES TO %1$I',
        NOT EXISTS (SELECT FROM later WHERE kind = 'r' AND privilege_type = 'SELECT')
    ),
    (
        6, 'ALTER DEFAULT PRIVILEGES FOR ROLE %2$I IN SCHEMA scenario GRANT EXECUTE ON FUNCTIONS TO %1$I',
        NOT EXISTS (SELECT FROM later WHERE kind = 'f' AND privilege_type = 'EXECUTE')
    )
) AS step (number, statement, is_missing)
WHERE step.is_missing
ORDER BY step.number
