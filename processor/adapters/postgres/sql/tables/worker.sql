CREATE TABLE jobs.worker (
    id         uuid PRIMARY KEY,
    beat       bigint NOT NULL DEFAULT 0,
    beat_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    leaving    boolean NOT NULL DEFAULT false,
    release    text NOT NULL,
    types      text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20);
COMMENT ON TABLE jobs.worker IS 'Signs of life of the workers.';
COMMENT ON COLUMN jobs.worker.beat IS 'Counted up by the worker once a second; whoever sees it stand still judges by his own clock.';
COMMENT ON COLUMN jobs.worker.beat_at IS 'When it last beat, for people who ask; nobody is judged dead by it.';
COMMENT ON COLUMN jobs.worker.leaving IS 'Written first on SIGTERM: deaths after it count against no job.';
COMMENT ON COLUMN jobs.worker.types IS 'Job types this worker has handlers for.';
