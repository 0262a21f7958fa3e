CREATE FUNCTION jobs.end_job_v1(
    _job uuid, _generation integer, _partition integer, _lane integer, _offset bigint, _body bytea
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('jobs.job', true) IS DISTINCT FROM _job::text || _generation THEN
        RAISE 'the handler ended its job''s transaction' USING ERRCODE = 'JB001';
    END IF;
    INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
    VALUES (_job, _generation, 'c', _partition, _lane, _offset, _body);
END
$$;
COMMENT ON FUNCTION jobs.end_job_v1 IS 'Write the completion in the transaction that begin_job opened; JB001 in any other, 23505 where another end won.';
