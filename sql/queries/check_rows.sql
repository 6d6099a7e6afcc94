-- Ask PostgreSQL whether it can store these rows, without storing them.
-- $1 rows syncer.model_row[]
SELECT count(*) FROM unnest($1::syncer.model_row[]) AS p WHERE p.body IS NOT NULL
