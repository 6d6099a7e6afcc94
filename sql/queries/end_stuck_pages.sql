-- End our own sessions that hold a lease's row although their client has stood still for longer than a lease
-- lives; returns how many. Safe at any time: what they had not committed rolls back, and is fenced.
-- $1 interval  time to live
-- statement_timeout does not reach a session that waits for its client in the middle of a statement (COPY, or
-- half a message): a frozen process or a cut cable would keep its lease for ever. Between statements
-- idle_in_transaction_session_timeout does reach it. "active" and a wait for the client is the former.
-- FOR KEY SHARE and FOR UPDATE of the row show as RowShareLock of the table; which row, nobody shows.
SELECT count(pg_terminate_backend(session.pid)) AS ended
FROM pg_stat_activity AS session
WHERE session.datname = current_database()
    AND session.usename = current_user
    AND session.application_name IN ('syncer', 'syncer lease')
    AND session.pid <> pg_backend_pid()
    AND session.state = 'active'
    AND session.wait_event IN ('ClientRead', 'ClientWrite')
    AND session.state_change < clock_timestamp() - $1::interval
    AND EXISTS (
        SELECT FROM pg_locks AS held
        WHERE held.pid = session.pid
            AND held.relation = 'syncer.lease'::regclass
            AND held.mode = 'RowShareLock'
            AND held.granted
    );
