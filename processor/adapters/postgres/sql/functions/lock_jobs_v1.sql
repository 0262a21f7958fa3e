CREATE FUNCTION jobs.lock_jobs_v1(_token text, _entity_keys bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    busy bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'lock_jobs needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    SELECT array_agg(key) INTO busy FROM unnest(_entity_keys) AS u (key)
    WHERE NOT pg_try_advisory_xact_lock(key);
    -- Both outlast a rollback to the savepoint that follows, as the locks do.
    PERFORM set_config('jobs.job', _token, true),
        set_config('jobs.busy', coalesce(busy::text, ''), true);
END
$$;
COMMENT ON FUNCTION jobs.lock_jobs_v1 IS 'Take the locks of the entities of a group of jobs, each or not: begin_jobs looks the jobs up, in a statement of its own, younger than the locks.';
