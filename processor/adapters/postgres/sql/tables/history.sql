CREATE TABLE jobs.history (
    job        uuid NOT NULL,
    generation smallint NOT NULL,
    timeline   integer NOT NULL,
    upto       smallint NOT NULL,
    partition  smallint NOT NULL,
    at_offset  bigint NOT NULL,
    at         timestamptz NOT NULL,
    ended_at   timestamptz,
    body       bytea NOT NULL,
    PRIMARY KEY (job, generation, timeline, upto)
);
CREATE INDEX history_ended ON jobs.history (ended_at) WHERE ended_at IS NOT NULL;
COMMENT ON TABLE jobs.history IS 'Projection: every record that tells of a job, whole; the reader merges and folds them.';
COMMENT ON COLUMN jobs.history.timeline IS 'The database''s when the outcome was written; 0 for a submission.';
COMMENT ON COLUMN jobs.history.upto IS '0 or more: events in the outcome. A submission: its lane less 4 (-4 critical to -1 low).';
COMMENT ON COLUMN jobs.history.at_offset IS 'With partition: the record in its lane (a submission), or in the journal.';
COMMENT ON COLUMN jobs.history.at IS 'When the record was appended.';
