-- What a sweep has seen, when a catalog was last swept, and orders for a process that holds a lease.
ALTER TABLE syncer.cycle ADD COLUMN low timestamptz;
COMMENT ON COLUMN syncer.cycle.low IS
    'Of a sweep: source time below which delta walks had read everything when it began; what it finds there was missed.';

CREATE TABLE syncer.seen (
    cycle_id bigint NOT NULL REFERENCES syncer.cycle ON DELETE CASCADE,
    hashes bigint[] NOT NULL,
    older_ids text[] COLLATE "C" NOT NULL,
    is_blind boolean NOT NULL,
    blind_after timestamptz,
    blind_before timestamptz,
    CONSTRAINT seen_blind_has_bounds CHECK (is_blind OR (blind_after IS NULL AND blind_before IS NULL))
);
CREATE INDEX seen_cycle_idx ON syncer.seen (cycle_id);
CREATE INDEX seen_blind_idx ON syncer.seen (cycle_id) WHERE is_blind;
COMMENT ON TABLE syncer.seen IS
    'One row per page of an unfinished sweep, stored with that page; gone when the sweep is finished.';
COMMENT ON COLUMN syncer.seen.cycle_id IS 'The sweep.';
COMMENT ON COLUMN syncer.seen.hashes IS
    'hashtextextended(id, cycle_id) of each listed model, 8 bytes a model. A collision keeps a removed model for one '
    'sweep: the next one hashes otherwise.';
COMMENT ON COLUMN syncer.seen.older_ids IS 'Models that the page showed older than they are stored.';
COMMENT ON COLUMN syncer.seen.is_blind IS
    'The page held a record without a readable id: nothing created in its range may be removed by this sweep.';
COMMENT ON COLUMN syncer.seen.blind_after IS 'Start of that range (exclusive); NULL: from the beginning.';
COMMENT ON COLUMN syncer.seen.blind_before IS 'End of that range (exclusive); NULL: to the end.';

CREATE FUNCTION syncer.unseen_models(sweep bigint) RETURNS TABLE (id text, created_at timestamptz)
LANGUAGE sql STABLE
-- The table is empty between sweeps, and was when it was last analysed: a planner that believes it would
-- compare each model with each hash.
SET enable_nestloop = off
BEGIN ATOMIC
SELECT m.id, m.created_at
FROM syncer.cycle AS c
JOIN scenario.models AS m ON m.catalog = c.catalog
WHERE c.cycle_id = sweep
    AND m.removed_at IS NULL
    AND m.first_seen_at < c.started_at
    AND NOT EXISTS (
        SELECT FROM syncer.seen AS s CROSS JOIN LATERAL unnest(s.hashes) AS h (hash)
        WHERE s.cycle_id = sweep AND h.hash = hashtextextended(m.id, sweep)
    )
    AND NOT EXISTS (
        SELECT FROM syncer.seen AS s
        WHERE s.cycle_id = sweep
            AND s.is_blind
            AND (s.blind_after IS NULL OR m.created_at > s.blind_after)
            AND (s.blind_before IS NULL OR m.created_at < s.blind_before)
    );
END;
COMMENT ON FUNCTION syncer.unseen_models(bigint) IS
    'Models that are live in the mirror, were there before the sweep began, and that it has not seen: candidates for removal.';

ALTER TABLE syncer.quarantine ADD COLUMN sent_order bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN syncer.quarantine.sent_order IS
    'Position of the request that showed it so: the answer to an earlier one does not clear it.';

ALTER TABLE syncer.catalog
    ADD COLUMN swept_at timestamptz,
    ADD COLUMN fed_at timestamptz;
COMMENT ON COLUMN syncer.catalog.swept_at IS
    'When the last complete sweep ended (database clock); NULL before the first backfill, -infinity when one is overdue.';
COMMENT ON COLUMN syncer.catalog.fed_at IS
    'When the feed of deleted models was last read whole (database clock); private catalogs only.';

CREATE TABLE syncer.catalog_order (
    order_id bigint GENERATED ALWAYS AS IDENTITY,
    catalog text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    arguments jsonb NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_epoch bigint,
    taken_at timestamptz,
    finished_at timestamptz,
    outcome jsonb,
    CONSTRAINT catalog_order_pkey PRIMARY KEY (order_id),
    CONSTRAINT catalog_order_kind_known CHECK (kind IN ('sweep', 'repair', 'retry', 'restart')),
    CONSTRAINT catalog_order_taken_under_epoch CHECK ((taken_at IS NULL) = (taken_epoch IS NULL)),
    CONSTRAINT catalog_order_finished_has_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX catalog_order_open_idx ON syncer.catalog_order (catalog) WHERE finished_at IS NULL;
COMMENT ON TABLE syncer.catalog_order IS
    'Work that a command leaves for the process that holds a catalog''s lease; that process carries it out and says how it ended.';
COMMENT ON COLUMN syncer.catalog_order.order_id IS 'Orders of a catalog are carried out in this order.';
COMMENT ON COLUMN syncer.catalog_order.catalog IS 'Name of the configured catalog.';
COMMENT ON COLUMN syncer.catalog_order.placed_at IS 'When it was placed (database clock).';
COMMENT ON COLUMN syncer.catalog_order.taken_at IS 'When a holder last began it; NULL: nobody has.';
COMMENT ON COLUMN syncer.catalog_order.finished_at IS 'When it was carried out or withdrawn; NULL until then.';
COMMENT ON COLUMN syncer.catalog_order.kind IS 'sweep, repair (verify --repair), retry (quarantine retry) or restart (backfill --restart).';
COMMENT ON COLUMN syncer.catalog_order.arguments IS 'What the command was asked, as JSON.';
COMMENT ON COLUMN syncer.catalog_order.placed_by IS 'The process that waits for the outcome, for people.';
COMMENT ON COLUMN syncer.catalog_order.taken_epoch IS 'Lease epoch of the holder that began it; a later holder begins it again.';
COMMENT ON COLUMN syncer.catalog_order.outcome IS 'How it ended, as JSON with an exit_code.';
