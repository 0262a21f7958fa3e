CREATE TABLE jobs.plan (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('replay', 'discard')),
    selection    json NOT NULL,
    letters      integer NOT NULL DEFAULT 0,
    actor        text NOT NULL,
    reason       text NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    priority     smallint,
    rate         double precision CHECK (rate > 0),
    canary       integer CHECK (canary > 0),
    stop_above   double precision,
    canary_upto  integer,
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'complete')),
    ended_by     text,
    ended_why    text,
    ended_at     timestamptz,
    runner       uuid,
    runner_name  text,
    runner_until timestamptz
);
CREATE INDEX plan_running ON jobs.plan (id) WHERE state = 'running';
COMMENT ON TABLE jobs.plan IS 'What is to be done to many dead letters: which ones was decided when it was made (jobs.plan_letter).';
COMMENT ON COLUMN jobs.plan.selection IS 'The filters that chose them, for whoever looks; nothing is chosen again.';
COMMENT ON COLUMN jobs.plan.priority IS 'The lane, instead of each job''s own.';
COMMENT ON COLUMN jobs.plan.rate IS 'Letters a second, at most.';
COMMENT ON COLUMN jobs.plan.canary_upto IS 'Until the canary has passed: the turn up to which it goes; its ends decide. Null: no canary, or passed.';
COMMENT ON COLUMN jobs.plan.stop_above IS 'The share of a canary''s jobs that may fail.';
COMMENT ON COLUMN jobs.plan.runner IS 'The process that runs it, until runner_until: a lease.';
