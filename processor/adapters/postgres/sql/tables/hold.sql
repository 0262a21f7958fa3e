CREATE TABLE jobs.hold (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('type', 'entity', 'tenant', 'lane')),
    value       text NOT NULL,
    release     text,
    mode        "char" NOT NULL CHECK (mode IN ('h', 'p', 'r')),
    rate        integer,
    why         text NOT NULL,
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    until       timestamptz,
    probe_by    uuid,
    probe_until timestamptz,
    ended_at    timestamptz,
    ended_by    text,
    ended_why   text
);
CREATE UNIQUE INDEX hold_open ON jobs.hold (kind, value, release) NULLS NOT DISTINCT
    WHERE ended_at IS NULL;
COMMENT ON TABLE jobs.hold IS 'What is, or was, kept from running, by an operator or by the breaker of a type.';
COMMENT ON COLUMN jobs.hold.release IS 'Only workers of this release are held; null: all of them.';
COMMENT ON COLUMN jobs.hold.mode IS 'h held, p half open (one probe at a time), r released at a rate.';
COMMENT ON COLUMN jobs.hold.rate IS 'Jobs a second, while released at a rate.';
COMMENT ON COLUMN jobs.hold.until IS 'It ends by itself then; null: only when somebody releases it.';
COMMENT ON COLUMN jobs.hold.probe_by IS 'The worker that probes, until probe_until: a lease.';
COMMENT ON COLUMN jobs.hold.ended_at IS 'When it was released; such a row only tells who did it, and why.';
