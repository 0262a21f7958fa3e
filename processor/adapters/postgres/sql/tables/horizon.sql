CREATE TABLE jobs.horizon (
    partition smallint NOT NULL,
    lane      smallint NOT NULL,
    day       date NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (partition, lane, day)
);
COMMENT ON TABLE jobs.horizon IS 'The positions of each day: what the janitor may cut is bounded by those of eight days ago.';
