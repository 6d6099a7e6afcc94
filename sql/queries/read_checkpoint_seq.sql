-- Where one checkpoint stands: after an unknown outcome the database is asked, nothing is inferred.
-- $1 cycle_id bigint · $2 partition text
SELECT seq FROM syncer.checkpoint WHERE cycle_id = $1 AND partition = $2
