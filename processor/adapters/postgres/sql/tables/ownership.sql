CREATE TABLE jobs.ownership (
    partition     smallint PRIMARY KEY,
    token         uuid,
    epoch         integer NOT NULL DEFAULT 0,
    worker        uuid,
    released      boolean NOT NULL DEFAULT true,
    unclean       smallint NOT NULL DEFAULT 0,
    suspect_until bigint[],
    critical      bigint NOT NULL DEFAULT 0,
    high          bigint NOT NULL DEFAULT 0,
    normal        bigint NOT NULL DEFAULT 0,
    low           bigint NOT NULL DEFAULT 0,
    UNIQUE (partition, token)
) WITH (fillfactor = 10);
COMMENT ON TABLE jobs.ownership IS 'Who owns a partition, and where its positions stand.';
COMMENT ON COLUMN jobs.ownership.token IS 'Random, new at each take-over: the fence. It stands in a unique key so that FOR KEY SHARE keeps a take-over out and lets the positions be written.';
COMMENT ON COLUMN jobs.ownership.epoch IS 'Take-overs so far; for logs only.';
COMMENT ON COLUMN jobs.ownership.released IS 'The worker has let go: nothing of it runs here, nothing is unflushed.';
COMMENT ON COLUMN jobs.ownership.unclean IS 'Workers that died owning the partition since it was last calm.';
COMMENT ON COLUMN jobs.ownership.suspect_until IS 'By lane how far was read since the first of these deaths: from the second on everything below runs in quarantine, one suspect at a time.';
COMMENT ON COLUMN jobs.ownership.critical IS 'The position of the lane: the offset below which every record is done. Likewise high, normal, low.';
