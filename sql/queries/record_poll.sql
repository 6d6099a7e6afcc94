-- A poll that found something, as a finished cycle; one that found nothing leaves no row.
-- $1 catalog text · $2 kind text · $3 strategy text · $4 reason text · $5 source_now timestamptz
-- $6 started_at timestamptz
INSERT INTO syncer.cycle
    (catalog, kind, strategy, reason, source_now, started_at, finished_at, outcome)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), 'complete')
