-- The stored versions of some models, removed ones included, with everything that is compared.
-- $1 catalog text · $2 ids text[]
-- Must use models_pkey, one probe an id.
SELECT
    id, name, type, privacy, status, source, custom, tags, capabilities, collection_ids, author_id,
    owner_id, parent_model_id, short_description, access_restrictions, training_images_number,
    thumbnail_asset_id, created_at, updated_at, body, content_hash, removed_at IS NOT NULL AS removed
FROM scenario.models
WHERE catalog = $1 AND id = ANY ($2::text[])
