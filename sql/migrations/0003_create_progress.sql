-- What is known of each catalog, which cycle is under way, and how far each partition has come.
CREATE TABLE syncer.catalog (
    catalog text COLLATE "C" NOT NULL,
    scope jsonb NOT NULL,
    pin text,
    backfilled_at timestamptz,
    watermark timestamptz,
    settled_from timestamptz,
    head timestamptz,
    last_cycle_kind text,
    last_cycle_outcome text,
    last_cycle_started_at timestamptz,
    last_cycle_finished_at timestamptz,
    last_complete_at timestamptz,
    removals_waiting integer NOT NULL DEFAULT 0,
    blocked boolean NOT NULL DEFAULT false,
    last_error_at timestamptz,
    last_error_message text,
    last_error_hint text,
    retired_at timestamptz,
    CONSTRAINT catalog_pkey PRIMARY KEY (catalog),
    CONSTRAINT catalog_watermark_set_once_backfilled CHECK (backfilled_at IS NULL OR watermark IS NOT NULL)
)
-- Rewritten at every poll: room for heap-only updates keeps an idle poll at one small record.
WITH (fillfactor = 50);

COMMENT ON TABLE syncer.catalog IS 'One row per catalog ever mirrored; an idle poll updates just this row.';
COMMENT ON COLUMN syncer.catalog.scope IS 'The filters under which the stored watermark holds.';
COMMENT ON COLUMN syncer.catalog.pin IS 'What the catalog was first filled from: base URL, for private catalogs also the owner.';
COMMENT ON COLUMN syncer.catalog.backfilled_at IS 'When the backfill was complete (database clock); NULL until then.';
COMMENT ON COLUMN syncer.catalog.watermark IS 'Source time up to which the catalog is completely stored; never decreases.';
COMMENT ON COLUMN syncer.catalog.settled_from IS 'Source time at which the last complete delta cycle began (Date of its first page), NULL before the first; less the overlap, it is the time before which no row can appear late.';
COMMENT ON COLUMN syncer.catalog.head IS 'Newest updatedAt seen.';
COMMENT ON COLUMN syncer.catalog.last_complete_at IS 'When the last complete cycle ended (database clock); freshness counts from here.';
COMMENT ON COLUMN syncer.catalog.removals_waiting IS 'Confirmed removals that the guard holds back.';
COMMENT ON COLUMN syncer.catalog.blocked IS 'The last cycle ended with an error that waiting does not mend.';
COMMENT ON COLUMN syncer.catalog.retired_at IS 'When the catalog was first found missing from the configuration; NULL while configured.';

CREATE TABLE syncer.cycle (
    cycle_id bigint GENERATED ALWAYS AS IDENTITY,
    catalog text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    strategy text NOT NULL,
    reason text NOT NULL,
    source_now timestamptz NOT NULL,
    ceiling timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text,
    CONSTRAINT cycle_pkey PRIMARY KEY (cycle_id),
    CONSTRAINT cycle_kind_known CHECK (kind IN ('backfill', 'delta', 'sweep')),
    CONSTRAINT cycle_finished_has_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX cycle_unfinished_idx ON syncer.cycle (catalog, kind) WHERE finished_at IS NULL;
CREATE INDEX cycle_catalog_idx ON syncer.cycle (catalog, cycle_id);

COMMENT ON TABLE syncer.cycle IS 'Planned passes; polls that found nothing are not recorded here but in syncer.catalog.';
COMMENT ON COLUMN syncer.cycle.strategy IS 'How it was partitioned: time, type, tag or probe.';
COMMENT ON COLUMN syncer.cycle.reason IS 'Why that walk was chosen.';
COMMENT ON COLUMN syncer.cycle.source_now IS 'Date of the first page of the cycle (source clock), kept on resume.';
COMMENT ON COLUMN syncer.cycle.ceiling IS 'Frozen upper bound of a delta cycle, inclusive (source clock).';

CREATE TABLE syncer.checkpoint (
    cycle_id bigint NOT NULL REFERENCES syncer.cycle ON DELETE CASCADE,
    partition text COLLATE "C" NOT NULL,
    phase text NOT NULL,
    sort_key text NOT NULL,
    filter_type text,
    filter_tag text,
    is_proof boolean NOT NULL DEFAULT false,
    after_at timestamptz,
    before_at timestamptz,
    crossing_after_at timestamptz,
    crossing_upto_at timestamptz,
    crossing_readings integer NOT NULL DEFAULT 0,
    crossing_digest bigint NOT NULL DEFAULT 0,
    newest_at timestamptz,
    pages bigint NOT NULL DEFAULT 0,
    models bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now(),
    last_error_at timestamptz,
    last_error_message text,
    last_error_hint text,
    CONSTRAINT checkpoint_pkey PRIMARY KEY (cycle_id, partition),
    CONSTRAINT checkpoint_phase_known CHECK (phase IN ('pending', 'walking', 'complete', 'dropped')),
    CONSTRAINT checkpoint_sort_key_known CHECK (sort_key IN ('createdAt', 'updatedAt'))
)
WITH (fillfactor = 50);

COMMENT ON TABLE syncer.checkpoint IS 'Progress of each partition; moves in the transaction that stores the page it speaks of.';
COMMENT ON COLUMN syncer.checkpoint.after_at IS 'Everything at or before this time is stored; the next question asks after it (exclusive). NULL: from the beginning.';
COMMENT ON COLUMN syncer.checkpoint.before_at IS 'Exclusive upper bound; NULL: to the end.';
COMMENT ON COLUMN syncer.checkpoint.crossing_after_at IS 'Start (exclusive) of a span that was crossed by token and is being read again.';
COMMENT ON COLUMN syncer.checkpoint.crossing_upto_at IS 'End (inclusive) of that span.';
COMMENT ON COLUMN syncer.checkpoint.crossing_readings IS 'Readings of the span so far; 0: no span is open.';
COMMENT ON COLUMN syncer.checkpoint.crossing_digest IS 'Order-independent digest of the ids of the last reading.';
COMMENT ON COLUMN syncer.checkpoint.newest_at IS 'Newest updatedAt stored by this partition.';
COMMENT ON COLUMN syncer.checkpoint.seq IS 'Grows by one per commit; a commit that finds another value is not ours to make.';
