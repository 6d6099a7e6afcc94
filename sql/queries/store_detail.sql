-- Store the details of one model, if its row is still there; content that is the same is not written again.
-- $1 catalog text · $2 id text · $3 body jsonb · $4 content_hash bytea · $5 listed_hash bytea, for which it was asked
-- $6 updatedAt timestamptz · $7 boolean: it is older than what is listed. Then it belongs to no listed version (an empty
-- listed_hash), takes the place of nothing newer, and its failure stays, to be asked again.
-- Returns whether the content changed. Index: model_details_pkey, models_pkey.
WITH before AS (
    SELECT d.content_hash FROM scenario.model_details AS d WHERE d.catalog = $1 AND d.id = $2
),
stored AS (
    INSERT INTO scenario.model_details AS d
        (catalog, id, body, content_hash, listed_hash, source_updated_at, fetched_at, changed_at)
    SELECT $1, $2, $3, $4, CASE WHEN $7::boolean THEN ''::bytea ELSE $5::bytea END, $6, clock_timestamp(), clock_timestamp()
    WHERE EXISTS (SELECT FROM scenario.models AS m WHERE m.catalog = $1 AND m.id = $2)
    ON CONFLICT (catalog, id) DO UPDATE SET
        body = CASE WHEN d.content_hash = excluded.content_hash THEN d.body ELSE excluded.body END,
        changed_at = CASE WHEN d.content_hash = excluded.content_hash THEN d.changed_at ELSE excluded.changed_at END,
        content_hash = excluded.content_hash,
        listed_hash = excluded.listed_hash,
        source_updated_at = excluded.source_updated_at,
        fetched_at = excluded.fetched_at
    WHERE NOT $7::boolean OR (d.source_updated_at <= excluded.source_updated_at AND d.content_hash <> excluded.content_hash)
    RETURNING d.content_hash
),
mended AS (
    DELETE FROM syncer.detail_failure AS f WHERE NOT $7::boolean AND f.catalog = $1 AND f.id = $2
)
SELECT s.content_hash IS DISTINCT FROM (SELECT b.content_hash FROM before AS b) FROM stored AS s
