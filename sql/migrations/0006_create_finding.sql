-- What 'syncer check' found out about each source, so that a later change of it is noticed.
CREATE TABLE syncer.finding (
    source text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    first_found_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT finding_pkey PRIMARY KEY (source, key),
    CONSTRAINT finding_found_in_order CHECK (first_found_at <= found_at)
);
COMMENT ON TABLE syncer.finding IS
    'How a source behaves where its documentation leaves it open; written by syncer check, which warns when a value differs.';
COMMENT ON COLUMN syncer.finding.source IS 'Base URL of the source.';
COMMENT ON COLUMN syncer.finding.key IS 'What was asked, such as public.bounds.updatedAt.';
COMMENT ON COLUMN syncer.finding.value IS 'The answer: a text, a number, or a sorted list of texts.';
COMMENT ON COLUMN syncer.finding.found_at IS 'When the value was last found so (database clock).';
COMMENT ON COLUMN syncer.finding.first_found_at IS 'When this value was first found (database clock); starts anew with another value.';
