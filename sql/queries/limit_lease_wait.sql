-- Bound the wait for a page in flight, in this transaction only.
-- $1 text  lock_timeout in ms
SELECT set_config('lock_timeout', $1, true);
