ALTER TABLE jobs.operation
    DROP CONSTRAINT operation_pkey,
    DROP CONSTRAINT operation_kind_check,
    ALTER COLUMN job DROP NOT NULL,
    ALTER COLUMN generation DROP NOT NULL,
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN subject text NOT NULL DEFAULT '',
    ADD COLUMN plan bigint,
    ADD COLUMN payload bytea,
    ADD COLUMN changes json,
    ADD CONSTRAINT operation_kind_check CHECK (
        kind IN ('replay', 'discard', 'cancel', 'hold', 'release', 'plan', 'stop', 'resume')
    );
CREATE UNIQUE INDEX operation_first ON jobs.operation (kind, job, generation)
    WHERE kind IN ('replay', 'discard');
CREATE INDEX operation_job ON jobs.operation (job) WHERE job IS NOT NULL;
CREATE INDEX operation_at ON jobs.operation (at, number) WHERE plan IS NULL;
CREATE TRIGGER operation_append_only BEFORE UPDATE OR DELETE ON jobs.operation
    FOR EACH ROW EXECUTE FUNCTION jobs.refuse_change_v1();
COMMENT ON TABLE jobs.operation IS 'The audit: who did what, when and why. Of a replay or a discard of one dead letter the first row is the only one, and decides.';
COMMENT ON COLUMN jobs.operation.subject IS 'What it concerns, in words, where that is no single job.';
COMMENT ON COLUMN jobs.operation.plan IS 'The plan that asked for it, one letter after the other; null: somebody did.';
COMMENT ON COLUMN jobs.operation.payload IS 'Of an edit: what the next generation is submitted with, JSON; changes: how it differs.';
