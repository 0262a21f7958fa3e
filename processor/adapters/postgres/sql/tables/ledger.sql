CREATE TABLE jobs.ledger (
    job        uuid NOT NULL,
    generation smallint NOT NULL,
    outcome    "char" NOT NULL CHECK (outcome IN ('c', 'f', 'x', 'd')),
    partition  smallint NOT NULL,
    lane       smallint NOT NULL,
    at_offset  bigint NOT NULL,
    ended_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    body       bytea NOT NULL,
    PRIMARY KEY (job, generation)
);
CREATE INDEX ledger_ended ON jobs.ledger USING brin (ended_at);
COMMENT ON TABLE jobs.ledger IS 'How each generation of a job ended. The first insert wins; nothing is ever updated.';
COMMENT ON COLUMN jobs.ledger.outcome IS 'c complete, f failed, x cancelled, d discarded.';
COMMENT ON COLUMN jobs.ledger.at_offset IS 'With partition and lane: the record that was executed, of several with one id.';
COMMENT ON COLUMN jobs.ledger.body IS 'The outcome, encoded: published byte for byte.';
