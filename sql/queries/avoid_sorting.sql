-- For a transaction that takes the mirror away: rows come in the order of models_pkey, one after the other. Else the server sorts the whole
-- mirror, bodies and all, into temporary files before it sends the first row.
SELECT set_config('enable_sort', 'off', true)
