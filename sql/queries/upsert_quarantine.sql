-- Keep one unusable model; a record that did not change is not written again.
-- $1 catalog text · $2 key text · $3 reason text · $4 raw bytea, redacted · $5 digest of raw bytea
-- $6 sent_order bigint of the request that showed it
INSERT INTO syncer.quarantine AS q (catalog, key, reason, raw, raw_hash, sent_order)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (catalog, key) DO UPDATE
SET
    reason = excluded.reason,
    raw = excluded.raw,
    raw_hash = excluded.raw_hash,
    sent_order = excluded.sent_order,
    dismissed = false,
    changed_at = now()
WHERE q.raw_hash <> excluded.raw_hash AND excluded.sent_order >= q.sent_order
RETURNING key
