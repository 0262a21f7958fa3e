CREATE FUNCTION jobs.cancel_v1(
    _job uuid, _generation integer, _partition integer, _lane integer, _offset bigint, _body bytea,
    _outcome text DEFAULT 'x'
) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'cancel needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    IF jobs.settled_v1(_job, _generation) THEN
        RETURN 2;
    END IF;
    INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
    VALUES (_job, _generation, _outcome::"char", _partition, _lane, _offset, _body)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 2;
    END IF;
    -- Its row becomes due, so that the owner drops it and the entity goes on.
    UPDATE jobs.waiting SET due_at = clock_timestamp() WHERE job = _job;
    PERFORM pg_notify('jobs_wake', _partition || ' ' || _job);
    RETURN 0;
END
$$;
COMMENT ON FUNCTION jobs.cancel_v1 IS 'End a generation from outside, seen or unseen, as cancelled or (d) discarded: 0 ended, 2 it has ended already; the caller reads the winner in a new statement.';
