-- Models that have become readable leave the quarantine.
-- $1 catalog text · $2 ids text[] of usable models · $3 sent_order bigint of the request that showed them
DELETE FROM syncer.quarantine
WHERE catalog = $1 AND key = ANY ($2::text[]) AND sent_order < $3
