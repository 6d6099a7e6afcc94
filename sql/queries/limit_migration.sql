-- Pin the session settings under which a migration runs, whatever the connection or the role says.
-- $1 boolean  for this transaction only
-- $2 text     lock_timeout in ms: a migration that waits for a lock makes all later queries wait behind it
-- $3 text     statement_timeout in ms
SELECT
    set_config('search_path', 'pg_catalog', $1),
    set_config('lock_timeout', $2, $1),
    set_config('statement_timeout', $3, $1);
