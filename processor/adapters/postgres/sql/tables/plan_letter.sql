CREATE TABLE jobs.plan_letter (
    plan    bigint NOT NULL,
    turn    integer NOT NULL,
    letter  uuid NOT NULL,
    job     uuid NOT NULL,
    died    smallint NOT NULL,
    started smallint,
    refused text,
    at      timestamptz,
    PRIMARY KEY (plan, turn)
);
CREATE INDEX plan_letter_left ON jobs.plan_letter (plan, turn)
    WHERE started IS NULL AND refused IS NULL;
COMMENT ON TABLE jobs.plan_letter IS 'The dead letters of a plan, in the order in which it takes them: within an entity that of the log.';
COMMENT ON COLUMN jobs.plan_letter.started IS 'The generation that was started, or that stands for the discard; null with refused: not done yet.';
COMMENT ON COLUMN jobs.plan_letter.refused IS 'Why nothing could be done.';
