-- A poll that found something, as a finished cycle; one that found nothing leaves no row.
-- $1 catalog text · $2 strategy text · $3 reason text · $4 source_now timestamptz
-- $5 started_at timestamptz
INSERT INTO syncer.cycle
    (catalog, kind, strategy, reason, source_now, started_at, finished_at, outcome)
VALUES ($1, 'delta', $2, $3, $4, $5, clock_timestamp(), 'complete')
