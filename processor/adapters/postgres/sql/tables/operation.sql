CREATE TABLE jobs.operation (
    kind       text NOT NULL CHECK (kind IN ('replay', 'discard')),
    job        uuid NOT NULL,
    generation smallint NOT NULL,
    actor      text NOT NULL,
    reason     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, job, generation)
);
COMMENT ON TABLE jobs.operation IS 'Who replayed or discarded a dead letter first.';
