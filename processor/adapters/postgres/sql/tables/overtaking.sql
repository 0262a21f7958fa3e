CREATE TABLE jobs.overtaking (
    entity_key   bigint PRIMARY KEY,
    failed_at    timestamptz NOT NULL,
    completed_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX overtaking_waited_for ON jobs.overtaking (failed_at)
    WHERE completed_at IS NULL OR completed_at <= failed_at;
COMMENT ON TABLE jobs.overtaking IS 'Entities of which a job died, and when one of theirs last completed: later than the death, it has overtaken the dead letter.';
