-- A mirror that nobody has fed for weeks had no caveat: each of the others is about what was found, none about when.
CREATE OR REPLACE VIEW scenario.freshness AS
SELECT
    c.catalog,
    c.scope ->> 'privacy' AS privacy,
    c.last_complete_at AS as_of,
    clock_timestamp() - c.last_complete_at AS age,
    c.backfilled_at IS NOT NULL AS is_complete,
    c.backfilled_at,
    nullif(c.swept_at, '-infinity') AS compared_at,
    c.watermark,
    c.removals_waiting,
    q.models AS quarantined_models,
    c.verified_at,
    c.verify_differences,
    c.blocked AS is_blocked,
    array_remove(ARRAY[
        CASE WHEN c.backfilled_at IS NULL THEN 'the first backfill is not complete: models are missing' END,
        CASE
            WHEN clock_timestamp() - c.last_complete_at > interval '3 hours'
            THEN 'nothing newer is known since ' || to_char(c.last_complete_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
        END,
        CASE
            WHEN clock_timestamp() - nullif(c.swept_at, '-infinity') > interval '2 days'
            THEN 'removals and silent edits were not looked for since '
                || to_char(c.swept_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
        END,
        CASE WHEN c.blocked THEN 'the last cycle ended with an error that waiting does not mend: nothing new arrives' END,
        CASE
            WHEN c.removals_waiting > 0
            THEN c.removals_waiting || ' removals wait for an operator: these models are still shown as live'
        END,
        CASE WHEN q.models > 0 THEN q.models || ' models could not be stored and are missing or old' END,
        CASE
            WHEN c.verify_differences > 0
            THEN c.verify_differences || ' models differed from the source when it was last verified'
        END
    ], NULL) AS caveats
FROM syncer.catalog AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS models FROM syncer.quarantine AS u WHERE u.catalog = c.catalog AND NOT u.dismissed
) AS q
WHERE c.retired_at IS NULL;

COMMENT ON COLUMN scenario.freshness.caveats IS
    'What to know before trusting the numbers, in sentences; empty: nothing. Old are numbers of more than 3 hours, and '
    'removals that were not looked for in 2 days.';
COMMENT ON FUNCTION scenario.models_at IS
    'The models as scenario.live_models would have shown them at a time (database clock, scenario.model_changes.committed_at), '
    'without volatile values. Content_hash is NULL where a model has changed since, changed_at is then the commit of the change '
    'before, and NULL where that is no longer known. A time to come shows the present; one from before the history is an error. '
    'Reads every model, whatever is asked: for one model read scenario.model_changes by catalog and id.';
