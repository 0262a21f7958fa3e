CREATE FUNCTION jobs.replay_in_place_v1(
    _token uuid, _partition integer, _entity_key bigint, _job uuid, _generation integer,
    _submission bytea, _body bytea
) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'replay_in_place needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    PERFORM FROM jobs.ownership WHERE partition = _partition AND token = _token FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 4;
    END IF;
    IF NOT pg_try_advisory_xact_lock(_entity_key) THEN
        RETURN 1;
    END IF;
    IF jobs.settled_v1(_job, _generation) THEN
        RETURN 2;
    END IF;
    UPDATE jobs.waiting
    SET generation = _generation, state = 'r', due_at = clock_timestamp(),
        since = clock_timestamp(), attempt = 0, runs = 0, faults = 0, revision = revision + 1,
        token = _token, submission = _submission, body = _body, hold = NULL
    -- It blocks, unless its death was forgotten by a failover: then this is its next try. Where a
    -- generation stands between, the discard that was one was forgotten.
    WHERE job = _job AND generation < _generation AND holds
        AND (
            generation = _generation - 1
            OR NOT jobs.settled_v1(_job, generation + (state = 'b')::integer)
        );
    RETURN CASE WHEN FOUND THEN 0 ELSE 3 END;
END
$$;
COMMENT ON FUNCTION jobs.replay_in_place_v1 IS 'Turn the row of a job that holds its entity, a blocking one, into the retrying row of its next generation, which goes on holding it: 0 done, 1 busy, 2 settled, 3 no such row, 4 fenced.';
