CREATE TABLE jobs.live (
    job        uuid PRIMARY KEY,
    generation smallint NOT NULL,
    runs       integer NOT NULL,
    at         timestamptz NOT NULL,
    body       bytea NOT NULL
);
COMMENT ON TABLE jobs.live IS 'Projection: the newest ephemeral record of a running job.';
COMMENT ON COLUMN jobs.live.runs IS 'It counts only while the history holds no outcome of the generation with as many runs.';
