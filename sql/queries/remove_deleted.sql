-- Set the tombstones of models that the deleted feed named and the listing no longer holds.
-- $1 catalog text · $2 ids text[] · $3 sent_order bigint of the request that confirmed it
-- A version that a later request brought stands: it was listed after all.
UPDATE scenario.models
SET
    removed_at = greatest(clock_timestamp(), first_seen_at),
    removed_reason = 'deleted',
    sent_order = greatest(sent_order, $3)
WHERE catalog = $1 AND id = ANY ($2::text[]) AND removed_at IS NULL AND sent_order < $3
RETURNING id
