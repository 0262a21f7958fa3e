CREATE TABLE jobs.suspect (
    partition smallint NOT NULL,
    lane      smallint NOT NULL,
    at_offset bigint NOT NULL,
    worker    uuid NOT NULL,
    deaths    smallint NOT NULL DEFAULT 0,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, lane, at_offset)
);
COMMENT ON TABLE jobs.suspect IS 'Records under quarantine, marked before they are decoded.';
COMMENT ON COLUMN jobs.suspect.deaths IS 'Workers that died with this record as their only suspect.';
