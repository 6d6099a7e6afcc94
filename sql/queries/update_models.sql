-- Fold incoming versions into rows that are locked already; returns the ids that were written.
-- $1 rows syncer.model_row[] of one catalog · $2 that catalog text
-- A live row takes the later updated_at, and at equal updated_at the later-sent request, when the
-- content differs. A tombstone is undone, at whatever updated_at, only by a later-sent request.
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
    changed_at = now(),
    removed_at = NULL,
    removed_reason = NULL
FROM unnest($1::syncer.model_row[]) AS p
WHERE m.catalog = $2
    AND m.id = p.id COLLATE "C"
    AND CASE
        WHEN m.removed_at IS NOT NULL THEN p.sent_order > m.sent_order
        ELSE
            m.content_hash <> p.content_hash
            AND (p.updated_at, p.sent_order) > (m.updated_at, m.sent_order)
    END
RETURNING m.id
