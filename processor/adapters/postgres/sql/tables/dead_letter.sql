CREATE TABLE jobs.dead_letter (
    job        uuid NOT NULL,
    generation smallint NOT NULL,
    id         uuid NOT NULL UNIQUE,
    died_at    timestamptz NOT NULL,
    closed     "char" CHECK (closed IN ('r', 'd')),
    tenant     text,
    type       text NOT NULL,
    place      text NOT NULL,
    body       bytea,
    partition  smallint NOT NULL,
    first_fact bigint NOT NULL,
    last_fact  bigint NOT NULL,
    PRIMARY KEY (job, generation)
);
CREATE INDEX dead_letter_open ON jobs.dead_letter (type, place, died_at) WHERE closed IS NULL;
CREATE INDEX dead_letter_closed ON jobs.dead_letter (partition, last_fact) WHERE closed IS NOT NULL;
COMMENT ON TABLE jobs.dead_letter IS 'Projection: the fold of the facts in the dead-letter topic; closed rows are kept as long as the topic.';
COMMENT ON COLUMN jobs.dead_letter.closed IS 'Null: open. r replayed, d discarded.';
COMMENT ON COLUMN jobs.dead_letter.place IS 'With type: the error group, where the error was raised.';
COMMENT ON COLUMN jobs.dead_letter.body IS 'The fact that it died, encoded; null where another fact came first.';
COMMENT ON COLUMN jobs.dead_letter.first_fact IS 'With partition: where the dead-letter topic first tells of it; last_fact: where it last does. The topic is cut below the first of the open ones, and a closed one goes when its last is cut.';
