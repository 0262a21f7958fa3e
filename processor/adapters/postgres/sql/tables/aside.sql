CREATE TABLE jobs.aside (
    topic     text NOT NULL,
    partition smallint NOT NULL,
    at_offset bigint NOT NULL,
    at        timestamptz NOT NULL,
    body      bytea NOT NULL,
    PRIMARY KEY (topic, partition, at_offset)
);
COMMENT ON TABLE jobs.aside IS 'Records that the projector could not decode, as raw bytes, to be folded later.';
COMMENT ON COLUMN jobs.aside.at IS 'When the record was appended: a submission is queued since then.';
