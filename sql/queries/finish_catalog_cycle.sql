-- What a complete cycle has proven of its catalog. The watermark never decreases.
-- $1 catalog text · $2 watermark timestamptz · $3 settled_from timestamptz · $4 newest row timestamptz
-- $5 kind text · $6 started_at timestamptz · $7 boolean: the mirror is as complete as it can be
-- $8 boolean: the feed of deleted models was read before
-- A delta says what is settled now. A complete walk says it, too, but maybe later than a delta meanwhile.
UPDATE syncer.catalog
SET
    backfilled_at = coalesce(backfilled_at, now()),
    watermark = greatest(watermark, $2),
    settled_from = CASE WHEN $5 = 'delta' THEN $3 ELSE greatest(settled_from, $3) END,
    swept_at = CASE
        WHEN $5 = 'sweep' THEN clock_timestamp()
        WHEN $5 = 'backfill' THEN coalesce(swept_at, clock_timestamp())
        ELSE swept_at
    END,
    fed_at = CASE WHEN $8 THEN clock_timestamp() ELSE fed_at END,
    removals_waiting = CASE WHEN $5 = 'sweep' THEN 0 ELSE removals_waiting END,
    head = greatest(head, $4),
    last_cycle_kind = $5,
    last_cycle_outcome = 'complete',
    last_cycle_started_at = $6,
    last_cycle_finished_at = clock_timestamp(),
    last_complete_at = CASE WHEN $7 THEN clock_timestamp() ELSE last_complete_at END,
    blocked = false,
    -- Removals that wait are still the last word until a sweep says otherwise.
    last_error_at = CASE WHEN $5 <> 'sweep' AND removals_waiting > 0 THEN last_error_at END,
    last_error_message = CASE WHEN $5 <> 'sweep' AND removals_waiting > 0 THEN last_error_message END,
    last_error_hint = CASE WHEN $5 <> 'sweep' AND removals_waiting > 0 THEN last_error_hint END
WHERE catalog = $1
