CREATE TABLE jobs.suspect (
    partition      smallint NOT NULL,
    lane           smallint NOT NULL,
    at_offset      bigint NOT NULL,
    worker         uuid,
    alone          boolean NOT NULL,
    decoding       boolean NOT NULL,
    deaths         smallint NOT NULL DEFAULT 0,
    while_decoding smallint NOT NULL DEFAULT 0,
    marked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, lane, at_offset)
);
COMMENT ON TABLE jobs.suspect IS 'Records under quarantine, marked before they are decoded; rows of the waiting room by the lane and place of their first sighting.';
COMMENT ON COLUMN jobs.suspect.worker IS 'Who marked it, and decodes or runs it unless dead; none where it came to an end alive.';
COMMENT ON COLUMN jobs.suspect.alone IS 'It was its worker''s one suspect: only then a death counts against it.';
COMMENT ON COLUMN jobs.suspect.decoding IS 'It was marked to be decoded, not to be run.';
COMMENT ON COLUMN jobs.suspect.deaths IS 'Workers that died with this record as their only suspect.';
COMMENT ON COLUMN jobs.suspect.while_decoding IS 'Those of them that were about to decode it, not to run it.';
