CREATE FUNCTION jobs.enqueue_v1(
    _token uuid, _partition integer, _locked bigint[],
    _entity_keys bigint[], _jobs uuid[], _generations smallint[], _states text[],
    _lanes smallint[], _places bigint[], _due_ins interval[], _due_ats timestamptz[],
    _holds bigint[], _attempts integer[], _runs integer[], _faults integer[],
    _submissions bytea[], _bodies bytea[]
) RETURNS integer[]
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    free bigint[];
    written bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'enqueue needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    PERFORM FROM jobs.ownership WHERE partition = _partition AND token = _token FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN array_fill(4, ARRAY[cardinality(_jobs)]);
    END IF;
    -- Each entity's lock is tried, never waited for: one that is held elsewhere costs only its own.
    SELECT coalesce(array_agg(k.entity_key), '{}') INTO free
    FROM (SELECT DISTINCT unnest(_entity_keys) AS entity_key) k
    WHERE k.entity_key = ANY (_locked) OR pg_try_advisory_xact_lock(k.entity_key);
    -- Statements of their own: their snapshots are younger than the locks. In the order of the key,
    -- so that overlapping groups meet each other's rows in one order.
    WITH entry AS (
        SELECT *
        FROM unnest(
            _entity_keys, _jobs, _generations, _states, _lanes, _places, _due_ins, _due_ats,
            _holds, _attempts, _runs, _faults, _submissions, _bodies
        ) WITH ORDINALITY AS u (
            entity_key, job, generation, state, lane, place, due_in, due_at,
            hold, attempt, runs, faults, submission, body, number
        )
        WHERE u.entity_key = ANY (free)
    ), inserted AS (
        INSERT INTO jobs.waiting (
            job, generation, partition, entity_key, state, holds, serve, lane, place, due_at, hold,
            since, revision, attempt, runs, faults, token, submission, body
        )
        SELECT e.job, e.generation, _partition, e.entity_key, e.state::"char", false, e.lane,
            e.lane, e.place, coalesce(e.due_at, clock_timestamp() + e.due_in), e.hold,
            clock_timestamp(), 1, e.attempt, e.runs, e.faults, _token, e.submission, e.body
        FROM entry e
        -- OFFSET 0 keeps these look-ups by key, row by row
        WHERE NOT EXISTS (
                SELECT FROM jobs.ledger l
                WHERE l.job = e.job AND (l.generation >= e.generation OR l.outcome NOT IN ('f', 'd'))
                OFFSET 0
            )
            AND NOT EXISTS (
                SELECT FROM jobs.waiting w
                WHERE w.job = e.job
                    AND (
                        w.generation > e.generation
                        -- it would wait for an earlier generation of itself that nobody replays
                        OR w.generation < e.generation AND w.holds
                            AND NOT jobs.settled_v1(w.job, w.generation + (w.state = 'b')::integer)
                    )
                OFFSET 0
            )
        ORDER BY e.job, e.generation
        ON CONFLICT DO NOTHING
        RETURNING waiting.job, waiting.generation, waiting.lane, waiting.place
    )
    SELECT coalesce(array_agg(e.number), '{}') INTO written
    FROM inserted i
    JOIN entry e
        ON (e.job, e.generation, e.lane, e.place) = (i.job, i.generation, i.lane, i.place);
    RETURN (
        SELECT array_agg(
            CASE
                WHEN u.number = ANY (written) THEN 0
                WHEN u.entity_key <> ALL (free) THEN 1
                WHEN jobs.settled_v1(u.job, u.generation) THEN 2
                ELSE 3
            END
            ORDER BY u.number
        )
        FROM unnest(_entity_keys, _jobs, _generations) WITH ORDINALITY
            AS u (entity_key, job, generation, number)
    );
END
$$;
COMMENT ON FUNCTION jobs.enqueue_v1 IS 'Write many rows that hold nothing and have none yet, for each entry 0 done, 1 busy, 2 settled, 3 a row of this or a later generation is there, or an earlier one holds, 4 fenced; _locked names entities whose lock the caller''s own jobs hold.';
