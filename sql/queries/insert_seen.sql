-- Remember what a page of a sweep proves to be listed: 8 bytes a model.
-- $1 cycle_id bigint · $2 ids text[] · $3 ids of models that it showed older than stored text[]
-- $4 boolean: it proves nothing between $5 and $6 timestamptz (exclusive, NULL: open)
-- Seeded with the sweep, so that two ids that collide in one do not in the next.
INSERT INTO syncer.seen (cycle_id, hashes, older_ids, is_blind, blind_after, blind_before)
VALUES (
    $1,
    ARRAY(SELECT hashtextextended(id COLLATE "C", $1) FROM unnest($2::text[]) AS p (id)),
    $3::text[],
    $4,
    $5,
    $6
)
