ALTER TABLE jobs.hold
    ADD COLUMN failed_probes smallint NOT NULL DEFAULT 0,
    ADD COLUMN told smallint;
CREATE INDEX hold_untold ON jobs.hold (id)
    WHERE told < 1 + (ended_at IS NOT NULL)::integer;
COMMENT ON COLUMN jobs.hold.mode IS 'h held, p the breaker''s (one probe at a time), r released at a rate.';
COMMENT ON COLUMN jobs.hold.probe_by IS 'The worker that probes, until probe_until: a lease; without one, no probe before probe_until.';
COMMENT ON COLUMN jobs.hold.failed_probes IS 'One after the other: the wait for the next grows with them.';
COMMENT ON COLUMN jobs.hold.told IS 'What subscribers were told of a breaker''s hold: 0 nothing, 1 that it opened, 2 that it closed; null for an operator''s.';
