CREATE TABLE jobs.waiting (
    job        uuid NOT NULL,
    generation smallint NOT NULL,
    partition  smallint NOT NULL,
    entity_key bigint NOT NULL,
    state      "char" NOT NULL CHECK (state IN ('q', 's', 'r', 'u', 'h', 'b')),
    holds      boolean NOT NULL,
    serve      smallint NOT NULL,
    lane       smallint NOT NULL,
    place      bigint NOT NULL,
    due_at     timestamptz,
    hold       bigint,
    since      timestamptz NOT NULL,
    revision   integer NOT NULL CHECK (revision > 0),
    attempt    integer NOT NULL,
    runs       integer NOT NULL,
    faults     integer NOT NULL,
    token      uuid NOT NULL,
    submission bytea NOT NULL,
    body       bytea,
    PRIMARY KEY (job, generation) INCLUDE (partition, state)
);
CREATE UNIQUE INDEX waiting_head ON jobs.waiting (entity_key) INCLUDE (job, generation, state)
    WHERE holds;
CREATE INDEX waiting_turn ON jobs.waiting (partition, state, entity_key, lane, place);
CREATE INDEX waiting_due ON jobs.waiting (partition, due_at) INCLUDE (job, generation)
    WHERE due_at IS NOT NULL;
CREATE INDEX waiting_held ON jobs.waiting (hold, partition) WHERE hold IS NOT NULL;
COMMENT ON TABLE jobs.waiting IS 'The waiting room: jobs that wait longer than it takes to run them, or run longer than their partition can wait.';
COMMENT ON COLUMN jobs.waiting.state IS 'q queued (spilled, or behind a head), s scheduled, r retrying, u running long, h held, b blocking (dead, waiting for its operator).';
COMMENT ON COLUMN jobs.waiting.holds IS 'This row is its entity''s one head: nothing else of the entity runs.';
COMMENT ON COLUMN jobs.waiting.serve IS 'The lane whose share it spends.';
COMMENT ON COLUMN jobs.waiting.place IS 'With lane: its order among the entity''s jobs, the offset of its first sighting.';
COMMENT ON COLUMN jobs.waiting.hold IS 'The row of jobs.hold that keeps it.';
COMMENT ON COLUMN jobs.waiting.since IS 'When it came into this state; held by a hold and held without one are two.';
COMMENT ON COLUMN jobs.waiting.revision IS 'From 1, counted up by every write: who knows an older one is stale.';
COMMENT ON COLUMN jobs.waiting.attempt IS 'Attempts that counted against the policy; runs: every start; faults: repeats that the infrastructure caused.';
COMMENT ON COLUMN jobs.waiting.token IS 'The fence under which it was written.';
COMMENT ON COLUMN jobs.waiting.submission IS 'The record as it was read from its lane.';
COMMENT ON COLUMN jobs.waiting.body IS 'The outcome so far, encoded; none before the first run.';
