-- The state of every known catalog, for people and probes; only reads.
SELECT
    s.catalog, s.phase, s.watermark, s.head, s.lag_s, s.freshness_s, s.live_models,
    s.removed_models, s.quarantined_models, s.removals_waiting, c.scope ->> 'privacy' AS privacy,
    c.backfilled_at, c.last_cycle_kind, c.last_cycle_outcome, c.last_cycle_started_at,
    c.last_cycle_finished_at, c.last_error_at, c.last_error_message, c.last_error_hint,
    l.holder, l.epoch, l.expires_at, l.expires_at > clock_timestamp() AS lease_valid,
    (
        SELECT extract(epoch FROM clock_timestamp() - max(p.moved_at))::float8
        FROM syncer.cycle AS y JOIN syncer.checkpoint AS p USING (cycle_id)
        WHERE y.catalog = s.catalog AND y.finished_at IS NULL
    ) AS moved_s,
    c.verified_at, c.verify_differences,
    extract(epoch FROM clock_timestamp() - c.fed_at)::float8 AS feed_s
FROM scenario.sync_status AS s
JOIN syncer.catalog AS c USING (catalog)
LEFT JOIN syncer.lease AS l USING (catalog)
ORDER BY s.catalog
