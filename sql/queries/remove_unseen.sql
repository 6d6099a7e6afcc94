-- Set the tombstones of models whose absence was confirmed; counts them. Lock them first.
-- $1 cycle_id bigint · $2 sent_order bigint of the request that confirmed it
-- $3 ids text[] whose reason is known · $4 reasons text[], in the same order
-- $5 types text[] · $6 tags text[] · $7 collection ids text[] · $8 status text: the filters, empty or NULL for none;
-- of the others those that a filter leaves out are 'out_of_scope', the rest is 'absent'
-- A version that a later request brought stands: it was listed after all.
WITH removed AS (
    UPDATE scenario.models AS m
    SET
        removed_at = greatest(clock_timestamp(), m.first_seen_at),
        removed_reason = coalesce(
            (SELECT k.reason FROM unnest($3::text[], $4::text[]) AS k (id, reason) WHERE k.id = m.id),
            CASE
                WHEN
                    ($5::text[] <> '{}' AND coalesce(m.type <> ALL ($5), true))
                    OR ($6::text[] <> '{}' AND NOT coalesce(m.tags && $6, false))
                    OR ($7::text[] <> '{}' AND NOT coalesce(m.collection_ids && $7, false))
                    OR ($8::text IS NOT NULL AND m.status IS DISTINCT FROM $8)
                    THEN 'out_of_scope'
                ELSE 'absent'
            END
        ),
        sent_order = greatest(m.sent_order, $2)
    FROM syncer.cycle AS c
    WHERE c.cycle_id = $1
        AND m.catalog = c.catalog
        AND m.id IN (SELECT u.id FROM syncer.unseen_models($1) AS u)
        AND m.removed_at IS NULL
        AND m.sent_order < $2
    RETURNING m.id
)
SELECT count(*) FROM removed
