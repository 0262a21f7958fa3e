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
    probe_by    uuid,
    probe_until timestamptz,
    UNIQUE NULLS NOT DISTINCT (kind, value, release)
);
COMMENT ON TABLE jobs.hold IS 'What is kept from running, by an operator or by the breaker of a type.';
COMMENT ON COLUMN jobs.hold.release IS 'Only workers of this release are held; null: all of them.';
COMMENT ON COLUMN jobs.hold.mode IS 'h held, p half open (one probe at a time), r released at a rate.';
COMMENT ON COLUMN jobs.hold.rate IS 'Jobs a second, while released at a rate.';
COMMENT ON COLUMN jobs.hold.probe_by IS 'The worker that probes, until probe_until: a lease.';
