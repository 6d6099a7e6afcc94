-- Take versions older than ours that the source showed twice: it was set back. Returns the ids written.
-- $1 rows syncer.model_row[] of one catalog, brought by the second question · $2 that catalog text
-- $3 cycle_id bigint of the sweep that showed them first
-- $4 timestamptz: a version of ours that is younger may still be ahead of a late index;
-- $5 timestamptz, the source's time: one that is dated more than an hour after it is not ahead, it is wrong
UPDATE scenario.models AS m
SET
    name = p.name,
    type = p.type,
    privacy = p.privacy,
    status = p.status,
    source = p.source,
    custom = p.custom,
    tags = p.tags,
    capabilities = p.capabilities,
    collection_ids = p.collection_ids,
    author_id = p.author_id,
    owner_id = p.owner_id,
    parent_model_id = p.parent_model_id,
    short_description = p.short_description,
    access_restrictions = p.access_restrictions,
    training_images_number = p.training_images_number,
    thumbnail_asset_id = p.thumbnail_asset_id,
    created_at = p.created_at,
    updated_at = p.updated_at,
    body = p.body,
    content_hash = p.content_hash,
    sent_order = p.sent_order,
    fingerprint = p.fingerprint,
    changed_at = now()
FROM unnest($1::syncer.model_row[]) AS p
WHERE m.catalog = $2
    AND m.id = p.id COLLATE "C"
    AND m.removed_at IS NULL
    AND m.updated_at > p.updated_at
    AND (m.updated_at < $4 OR m.updated_at > $5::timestamptz + interval '1 hour')
    AND m.sent_order < p.sent_order
    AND m.id IN (
        SELECT o.id FROM syncer.seen AS s CROSS JOIN LATERAL unnest(s.older_ids) AS o (id)
        WHERE s.cycle_id = $3
    )
RETURNING m.id
