-- How many requests each process may send, so that all of them together keep to one budget.
CREATE TABLE syncer.budget (
    source text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    returned timestamptz[] NOT NULL,
    paused_until timestamptz,
    reduced_rate double precision,
    storms integer NOT NULL,
    CONSTRAINT budget_pkey PRIMARY KEY (source),
    CONSTRAINT budget_version_positive CHECK (version > 0),
    CONSTRAINT budget_rate_positive CHECK (reduced_rate > 0),
    CONSTRAINT budget_reduced_since_pause CHECK ((paused_until IS NULL) = (reduced_rate IS NULL)),
    CONSTRAINT budget_storms_not_negative CHECK (storms >= 0)
)
-- Rewritten again and again: room for heap-only updates keeps the table at a few pages.
WITH (fillfactor = 50);
COMMENT ON TABLE syncer.budget IS
    'What all processes that ask one source share of its request budget. A token is the permission for one request in '
    'any 60 s; tokens held (syncer.allowance) and returned but not ripe are together no more than the budget.';
COMMENT ON COLUMN syncer.budget.source IS
    'Base URL of the source. Not the credentials: whether the source counts by key, by project or by address is not '
    'documented, and one budget for all of them is the safe reading.';
COMMENT ON COLUMN syncer.budget.version IS
    'Grows with each agreement; one that was worked out from an older version is refused.';
COMMENT ON COLUMN syncer.budget.returned IS
    'Of each token that nobody holds, the time from which it may be granted again (database clock); past ones mean nothing.';
COMMENT ON COLUMN syncer.budget.paused_until IS
    'The source asked everybody to wait until then (database clock); NULL: it never has.';
COMMENT ON COLUMN syncer.budget.reduced_rate IS
    'Requests a minute that were allowed when the pause ended; from then on the rate climbs with time, and nothing is written.';
COMMENT ON COLUMN syncer.budget.storms IS 'Pauses in a row without a success between them; each is twice as long.';

CREATE TABLE syncer.allowance (
    source text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    held integer NOT NULL,
    wanted integer NOT NULL,
    max_requests integer NOT NULL,
    waiting_since timestamptz,
    dead_at timestamptz,
    CONSTRAINT allowance_pkey PRIMARY KEY (source, holder),
    CONSTRAINT allowance_held_not_negative CHECK (held >= 0),
    CONSTRAINT allowance_wanted_not_negative CHECK (wanted >= 0),
    CONSTRAINT allowance_max_requests_positive CHECK (max_requests > 0),
    CONSTRAINT allowance_waits_while_it_wants CHECK ((waiting_since IS NULL) = (wanted = 0))
)
WITH (fillfactor = 50);
COMMENT ON TABLE syncer.allowance IS
    'The part of a source''s request budget that each process holds; the row goes when the process ends.';
COMMENT ON COLUMN syncer.allowance.source IS 'Base URL of the source, as in syncer.budget.';
COMMENT ON COLUMN syncer.allowance.holder IS 'The process: host, process id and a random number.';
COMMENT ON COLUMN syncer.allowance.held IS
    'Requests that it may send in any 60 s without asking; it uses each again without writing.';
COMMENT ON COLUMN syncer.allowance.wanted IS 'Requests that it asked for and did not get; others then leave it its share.';
COMMENT ON COLUMN syncer.allowance.max_requests IS
    'source.max_requests_per_minute of that process; the smallest of the living counts for all.';
COMMENT ON COLUMN syncer.allowance.waiting_since IS
    'Since when it wants more, or was last given some (database clock); NULL when it wants nothing.';
COMMENT ON COLUMN syncer.allowance.dead_at IS
    'When another process found its session gone (database clock). A little more than 60 s later what it held is free, '
    'as nobody knows when it was last used; if it only lost its connection it comes back before that and keeps it.';

CREATE FUNCTION syncer.allowance_key(source text, holder text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.hashtext(source || ' ' || holder);
COMMENT ON FUNCTION syncer.allowance_key(text, text) IS
    'Second key of the advisory lock (first key 1937337957) that a holder''s session keeps, shared, for as long as it lives; '
    'whoever gets it exclusively has proved that the holder''s connection is gone.';
