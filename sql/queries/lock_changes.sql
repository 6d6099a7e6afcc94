-- The turn to write changes, held to the end of the transaction: change ids become visible in their order.
-- A statement of its own: what insert_changes or insert_removals sees must be no older than the turn.
SELECT pg_advisory_xact_lock(1937337958, 0)
