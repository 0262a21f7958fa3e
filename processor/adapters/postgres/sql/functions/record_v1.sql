CREATE FUNCTION jobs.record_v1(
    _token uuid, _partition integer, _entity_key bigint, _job uuid, _generation integer,
    _revision integer, _lane integer, _place bigint,
    _died bytea DEFAULT NULL, _take_lock boolean DEFAULT true,
    _state text DEFAULT NULL, _holds boolean DEFAULT NULL, _serve integer DEFAULT NULL,
    _due_in interval DEFAULT NULL, _due_at timestamptz DEFAULT NULL,
    _hold bigint DEFAULT NULL, _attempt integer DEFAULT NULL,
    _runs integer DEFAULT NULL, _faults integer DEFAULT NULL,
    _submission bytea DEFAULT NULL, _body bytea DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    came_into_state timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'record needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    PERFORM FROM jobs.ownership WHERE partition = _partition AND token = _token FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 4;
    END IF;
    -- Tried, never waited for: a frozen holder must not hold the fence through us.
    IF _take_lock AND NOT pg_try_advisory_xact_lock(_entity_key) THEN
        RETURN 1;
    END IF;
    IF jobs.settled_v1(_job, _generation) THEN
        RETURN 2;
    END IF;
    IF coalesce(
        (SELECT revision FROM jobs.waiting WHERE job = _job AND generation = _generation), 0
    ) <> _revision THEN
        RETURN 3;
    END IF;
    IF _holds AND EXISTS (
        SELECT FROM jobs.waiting w
        WHERE w.entity_key = _entity_key AND w.holds AND w.job <> _job
            AND NOT jobs.settled_v1(w.job, w.generation + (w.state = 'b')::integer)
    ) THEN
        RETURN 3;
    END IF;
    IF _died IS NOT NULL THEN
        INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
        VALUES (_job, _generation, 'f', _partition, _lane, _place, _died)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN 2;
        END IF;
        IF _state IS DISTINCT FROM 'b' THEN
            RETURN 0;
        END IF;
    END IF;
    UPDATE jobs.waiting w SET holds = false
    WHERE w.entity_key = _entity_key AND w.holds AND w.job <> _job
        AND jobs.settled_v1(w.job, w.generation + (w.state = 'b')::integer);
    SELECT since INTO came_into_state FROM jobs.waiting
    WHERE job = _job AND generation = _generation AND state = _state::"char"
        AND (hold IS NULL) = (_hold IS NULL);
    DELETE FROM jobs.waiting WHERE job = _job AND generation <= _generation;
    INSERT INTO jobs.waiting (
        job, generation, partition, entity_key, state, holds, serve, lane, place, due_at, hold,
        since, revision, attempt, runs, faults, token, submission, body
    ) VALUES (
        _job, _generation, _partition, _entity_key, _state::"char", _holds, _serve, _lane, _place,
        coalesce(_due_at, clock_timestamp() + _due_in), _hold,
        coalesce(came_into_state, clock_timestamp()),
        _revision + 1, _attempt, _runs, _faults, _token, _submission, _body
    );
    RETURN 0;
END
$$;
COMMENT ON FUNCTION jobs.record_v1 IS 'Write every end that is not success, and every wait: 0 done, 1 busy, 2 settled, 3 stale, 4 fenced. _died alone ends the job; with _state b it blocks its entity; without _died the job waits.';
