-- The right to write: one row per catalog, so that two processes never write the same catalog.
CREATE TABLE syncer.lease (
    catalog text COLLATE "C" NOT NULL,
    holder text,
    epoch bigint NOT NULL,
    expires_at timestamptz,
    CONSTRAINT lease_pkey PRIMARY KEY (catalog),
    CONSTRAINT lease_epoch_positive CHECK (epoch > 0),
    CONSTRAINT lease_holder_not_empty CHECK (holder <> ''),
    CONSTRAINT lease_held_has_expiry CHECK ((holder IS NULL) = (expires_at IS NULL))
)
-- Renewed every few seconds for ever: room for heap-only updates keeps the table at one page.
WITH (fillfactor = 50);

COMMENT ON TABLE syncer.lease IS
    'Who may write a catalog. Every writing transaction first takes its row FOR KEY SHARE under its epoch; '
    'a takeover takes it FOR UPDATE, so it waits for the page in flight and fences all later ones.';
COMMENT ON COLUMN syncer.lease.catalog IS 'Name of the configured catalog.';
COMMENT ON COLUMN syncer.lease.holder IS 'The process that holds the lease, for people; NULL after it was released.';
COMMENT ON COLUMN syncer.lease.epoch IS
    'Grows by one with each change of holder and never otherwise; a writer with another epoch is fenced out.';
COMMENT ON COLUMN syncer.lease.expires_at IS
    'When anybody may take the lease over (database clock); renewal moves this and nothing else.';

-- One definition for the four statements that must agree on it. The epoch is part of the key: each
-- holder has a lock of its own, so a successor never finds its lock taken by a frozen predecessor.
CREATE FUNCTION syncer.lease_key(catalog text, epoch bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.hashtext(catalog || ':' || epoch::text);

COMMENT ON FUNCTION syncer.lease_key(text, bigint) IS
    'Second key of the advisory lock (first key 1937337955) that a lease holder''s session keeps for as long as it '
    'lives; its absence proves that the holder''s connection is gone.';
