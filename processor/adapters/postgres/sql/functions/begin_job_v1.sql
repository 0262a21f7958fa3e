CREATE FUNCTION jobs.begin_job_v1(
    _partition integer, _entity_key bigint, _job uuid, _generation integer, _revision integer,
    _lane integer, _place bigint
) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    answer integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'begin_job needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    IF NOT pg_try_advisory_xact_lock(_entity_key) THEN
        RETURN 1;
    END IF;
    -- A statement of its own: its snapshot is younger than the lock.
    SELECT CASE
        WHEN EXISTS (
                SELECT FROM jobs.ledger
                WHERE job = _job AND (generation >= _generation OR outcome NOT IN ('f', 'd'))
            )
            OR EXISTS (SELECT FROM jobs.waiting WHERE job = _job AND generation > _generation)
        THEN 2
        WHEN coalesce(
                (SELECT revision FROM jobs.waiting WHERE job = _job AND generation = _generation), 0
            ) <> _revision
            -- another job holds the entity, and that generation is not settled
            OR EXISTS (
                SELECT FROM jobs.waiting w
                WHERE w.entity_key = _entity_key AND w.holds AND w.job <> _job
                    AND NOT EXISTS (
                        SELECT FROM jobs.ledger l
                        WHERE l.job = w.job
                            AND (
                                l.generation >= w.generation + (w.state = 'b')::integer
                                OR l.outcome NOT IN ('f', 'd')
                            )
                    )
            )
            -- an earlier job of the entity was spilled, and has not ended; its head is never overtaken
            OR EXISTS (
                SELECT FROM jobs.waiting w
                WHERE w.partition = _partition AND w.entity_key = _entity_key
                    AND (w.lane, w.place) < (_lane, _place) AND w.state = 'q' AND w.job <> _job
                    AND NOT EXISTS (
                        SELECT FROM jobs.ledger l
                        WHERE l.job = w.job AND l.generation >= w.generation
                    )
            )
            AND NOT EXISTS (
                SELECT FROM jobs.waiting
                WHERE job = _job AND generation = _generation AND holds
            )
        THEN 3
        ELSE 0
    END INTO answer;
    IF answer = 0 THEN
        PERFORM set_config('jobs.job', _job::text || _generation, true);
    END IF;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION jobs.begin_job_v1 IS 'Take the entity''s lock, or not, and look the job up: 0 run, 1 busy, 2 settled, 3 stale.';
