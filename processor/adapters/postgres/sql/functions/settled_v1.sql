CREATE FUNCTION jobs.settled_v1(_job uuid, _generation integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM jobs.ledger
        WHERE job = _job AND (generation >= _generation OR outcome NOT IN ('f', 'd'))
    )
$$;
COMMENT ON FUNCTION jobs.settled_v1 IS 'Has this generation ended, a later one a row, or any been complete or cancelled?';
