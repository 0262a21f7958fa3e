CREATE FUNCTION jobs.take_over_v1(
    _partition integer, _seen uuid, _token uuid, _worker uuid, _unclean boolean
) RETURNS SETOF jobs.ownership
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    seen jobs.ownership;
    died boolean;
BEGIN
    SELECT o.* INTO seen FROM jobs.ownership o
    WHERE o.partition = _partition AND o.token IS NOT DISTINCT FROM _seen
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Who said that it leaves, or is gone from the table, did not die of a job.
    died := _unclean AND NOT seen.released AND EXISTS (
        SELECT FROM jobs.worker w WHERE w.id = seen.worker AND NOT w.leaving
    );
    IF died THEN
        UPDATE jobs.suspect s
        SET deaths = s.deaths + 1, while_decoding = s.while_decoding + s.decoding::integer
        WHERE s.partition = _partition AND s.worker = seen.worker AND s.alone;
    ELSIF seen.unclean > 0 THEN
        DELETE FROM jobs.suspect s
        WHERE s.partition = _partition AND s.worker = seen.worker AND s.deaths = 0;
        UPDATE jobs.suspect s SET worker = NULL
        WHERE s.partition = _partition AND s.worker = seen.worker;
    END IF;
    RETURN QUERY
    UPDATE jobs.ownership o
    SET token = _token, epoch = o.epoch + 1, worker = _worker, released = false,
        unclean = o.unclean + died::integer
    WHERE o.partition = _partition
    RETURNING o.*;
END
$$;
COMMENT ON FUNCTION jobs.take_over_v1 IS 'Put a new token where _seen still stands, and count the death of the last owner, and that of its one suspect, where _unclean says that it is dead and it had neither released nor said that it leaves; no row where another came first.';
