CREATE TABLE jobs.horizon (
    topic     text NOT NULL,
    partition smallint NOT NULL,
    day       date NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (topic, partition, day)
);
COMMENT ON TABLE jobs.horizon IS 'Below which offset nobody needed the records, at some moment of each day: what the janitor may cut is bounded by those of eight days ago.';
COMMENT ON COLUMN jobs.horizon.position IS 'The least of the lane''s position and every projection''s checkpoint.';
