-- Where unusable models are kept until they become readable.
CREATE TABLE syncer.quarantine (
    catalog text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    raw bytea NOT NULL,
    raw_hash bytea NOT NULL,
    dismissed boolean NOT NULL DEFAULT false,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT quarantine_pkey PRIMARY KEY (catalog, key)
);
COMMENT ON TABLE syncer.quarantine IS 'Models that the source lists and that cannot be stored; see syncer quarantine.';
COMMENT ON COLUMN syncer.quarantine.key IS 'The model''s id, or sha256: and the digest of its bytes when it has no readable id.';
COMMENT ON COLUMN syncer.quarantine.raw IS 'The record as received, secrets and signatures redacted.';
COMMENT ON COLUMN syncer.quarantine.raw_hash IS 'Digest of raw: an unchanged record is not written again.';
COMMENT ON COLUMN syncer.quarantine.dismissed IS 'Silenced by an operator until its content changes.';
