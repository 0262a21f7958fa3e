CREATE FUNCTION jobs.end_jobs_v1(
    _token text, _jobs uuid[], _generations integer[], _partitions integer[], _lanes integer[],
    _offsets bigint[], _bodies bytea[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    written integer;
BEGIN
    IF current_setting('jobs.job', true) IS DISTINCT FROM _token THEN
        RAISE 'a handler ended its group''s transaction' USING ERRCODE = 'JB001';
    END IF;
    INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
    SELECT job, generation, 'c', partition, lane, at_offset, body
    FROM unnest(_jobs, _generations, _partitions, _lanes, _offsets, _bodies)
        AS u (job, generation, partition, lane, at_offset, body)
    ORDER BY job, generation
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(_jobs) THEN
        RAISE 'another end of a job of the group won' USING ERRCODE = 'JB003';
    END IF;
END
$$;
COMMENT ON FUNCTION jobs.end_jobs_v1 IS 'Write the completions of a group in the transaction that lock_jobs opened: all, or JB003 where another end of one won; JB001 in any other transaction.';
