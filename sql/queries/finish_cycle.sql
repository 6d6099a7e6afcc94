-- Close a cycle whose partitions are all done; no row while one is open. Where there is a proof walk
-- it alone decides: it covers whatever the filtered partitions could not.
-- $1 cycle_id bigint
UPDATE syncer.cycle AS c
SET finished_at = now(), outcome = 'complete'
WHERE c.cycle_id = $1
    AND c.finished_at IS NULL
    AND NOT EXISTS (
        SELECT FROM syncer.checkpoint AS p
        WHERE p.cycle_id = $1
            AND p.phase NOT IN ('complete', 'dropped')
            AND (
                p.is_proof
                OR NOT EXISTS (SELECT FROM syncer.checkpoint WHERE cycle_id = $1 AND is_proof)
            )
    )
RETURNING
    c.kind,
    c.source_now,
    c.ceiling,
    c.started_at,
    (SELECT max(p.newest_at) FROM syncer.checkpoint AS p WHERE p.cycle_id = $1) AS newest_at
