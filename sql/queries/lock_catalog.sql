-- The watermark as of this transaction; whoever raises it holds the row.
-- $1 catalog text
SELECT watermark FROM syncer.catalog WHERE catalog = $1 FOR NO KEY UPDATE
