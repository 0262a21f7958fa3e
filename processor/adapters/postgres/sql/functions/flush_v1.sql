CREATE FUNCTION jobs.flush_v1(
    _owned smallint[], _tokens uuid[],
    _jobs uuid[], _generations smallint[], _partitions smallint[], _lanes smallint[],
    _offsets bigint[], _bodies bytea[],
    OUT mine smallint[], OUT written integer[]
)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'flush needs READ COMMITTED' USING ERRCODE = 'JB002';
    END IF;
    SELECT coalesce(array_agg(held.partition), '{}') INTO mine FROM (
        SELECT o.partition
        FROM jobs.ownership o
        JOIN unnest(_owned, _tokens) AS u (partition, token)
            ON (o.partition, o.token) = (u.partition, u.token)
        ORDER BY o.partition
        FOR KEY SHARE OF o
    ) held;
    -- In the order of the key, so that overlapping flushes meet each other's rows in one order.
    WITH entry AS (
        SELECT *
        FROM unnest(_jobs, _generations, _partitions, _lanes, _offsets, _bodies)
            WITH ORDINALITY AS u (job, generation, partition, lane, at_offset, body, number)
        WHERE u.partition = ANY (mine)
    ), inserted AS (
        INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
        SELECT e.job, e.generation, 'c', e.partition, e.lane, e.at_offset, e.body
        FROM entry e
        -- a generation is settled by others too; OFFSET 0 keeps this a look-up by key, row by row
        WHERE NOT EXISTS (
            SELECT FROM jobs.ledger l
            WHERE l.job = e.job AND (l.generation > e.generation OR l.outcome NOT IN ('f', 'd'))
            OFFSET 0
        )
        ORDER BY e.job, e.generation
        ON CONFLICT DO NOTHING
        RETURNING ledger.job, ledger.generation, ledger.lane, ledger.at_offset
    )
    SELECT coalesce(array_agg(e.number), '{}') INTO written
    FROM inserted i
    JOIN entry e
        ON (e.job, e.generation, e.lane, e.at_offset)
            = (i.job, i.generation, i.lane, i.at_offset);
END
$$;
COMMENT ON FUNCTION jobs.flush_v1 IS 'Write many completions under the tokens of their partitions: which partitions are mine, and which entries (from 1) were written. Every other is read back in a new statement.';
