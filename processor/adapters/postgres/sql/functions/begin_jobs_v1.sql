CREATE FUNCTION jobs.begin_jobs_v1(
    _token text, _partitions integer[], _entity_keys bigint[], _jobs uuid[],
    _generations integer[], _revisions integer[], _lanes integer[], _places bigint[]
) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    busy text := current_setting('jobs.busy');
    answers integer[] := '{}';
BEGIN
    -- What nobody has heard of may run. LIMIT keeps each of these a look-up by key, row by row.
    IF busy = '' AND NOT EXISTS (
        SELECT FROM unnest(_jobs, _entity_keys, _partitions) AS u (job, key, partition)
        CROSS JOIN LATERAL (
            (SELECT FROM jobs.ledger WHERE job = u.job LIMIT 1)
            UNION ALL
            (SELECT FROM jobs.waiting WHERE job = u.job LIMIT 1)
            UNION ALL
            (SELECT FROM jobs.waiting WHERE entity_key = u.key AND holds LIMIT 1)
            UNION ALL
            (
                SELECT FROM jobs.waiting
                WHERE partition = u.partition AND state = 'q' AND entity_key = u.key LIMIT 1
            )
        ) known
    ) THEN
        RETURN 0;
    END IF;
    FOR i IN 1 .. cardinality(_jobs) LOOP
        -- A lock that became free meanwhile would go with a savepoint: busy is busy.
        answers[i] := CASE
            WHEN _entity_keys[i] = ANY (nullif(busy, '')::bigint[]) THEN 1
            ELSE jobs.begin_job_v1(
                _partitions[i], _entity_keys[i], _jobs[i], _generations[i], _revisions[i],
                _lanes[i], _places[i]
            )
        END;
    END LOOP;
    PERFORM set_config('jobs.job', _token, true),
        set_config('jobs.answers', array_to_string(answers, ','), true);
    RETURN 1;
END
$$;
COMMENT ON FUNCTION jobs.begin_jobs_v1 IS 'Look up a group of jobs whose entities lock_jobs has locked: 0 all may run, 1 the setting jobs.answers has begin_job''s answer for each.';
