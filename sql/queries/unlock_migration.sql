-- Let the next process migrate.
SELECT pg_advisory_unlock(1937337956, 0);
