-- Undo limit_migration.sql after a migration that ran outside a transaction.
SELECT set_config(name, reset_val, false)
FROM pg_settings
WHERE name IN ('search_path', 'lock_timeout', 'statement_timeout');
